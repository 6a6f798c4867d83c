@preconcurrency import CHDF5
import Foundation
import Synchronization
import Tensor

/// The HDF5 library, under one lock.
///
/// It only ever lays out files in memory and finds things in files: all bytes of weights go through our own loops,
/// because the library neither syncs nor reports a full disk reliably.
enum HDF5 {
  private static let lock = Mutex<Bool>(false)

  /// A failed call of the library, with the innermost reason it gave.
  struct Failure: Error {
    let call: String
    let reason: String
  }

  /// Runs `body` with the library to itself, and closes what it opened. Calls must not nest.
  static func exclusively<Result>(_ body: (Scope) throws -> Result) throws -> Result {
    try lock.withLock { opened in
      if !opened {
        // A file that could not be closed must not take the process down at its end.
        H5dont_atexit()
        H5open()
        opened = true
      }
      // Each thread has its own setting, and the default prints.
      H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil)
      let scope = Scope()
      defer { scope.abandon() }
      let result = try body(scope)
      try scope.close()
      return result
    }
  }

  /// An identifier or a count that the library gave, or its error.
  @discardableResult
  static func check<Number: SignedInteger>(_ call: String, _ result: Number) throws -> Number {
    if result >= 0 { return result }
    var reason = ""
    withUnsafeMutablePointer(to: &reason) { pointer in
      _ = H5Ewalk2(
        hid_t(H5E_DEFAULT), H5E_WALK_UPWARD,
        { depth, error, client in
          guard depth == 0, let text = error?.pointee.desc else { return 0 }
          client?.assumingMemoryBound(to: String.self).pointee = String(cString: text)
          return 0
        }, pointer)
    }
    throw Failure(call: call, reason: reason)
  }

  /// Open things of the library, closed last to first.
  final class Scope {
    private var closings: [(hid_t, (hid_t) -> herr_t)] = []

    /// Takes over an identifier that the library gave, or throws its error.
    func take(_ call: String, _ id: hid_t, _ closing: @escaping (hid_t) -> herr_t) throws -> hid_t {
      try HDF5.check(call, id)
      closings.append((id, closing))
      return id
    }

    func close() throws {
      while let (id, closing) = closings.popLast() { try HDF5.check("close", closing(id)) }
    }

    func abandon() {
      while let (id, closing) = closings.popLast() { _ = closing(id) }
    }
  }

  /// The 16-bit formats are floats of our own making, which h5py and h5dump understand.
  static func type(_ format: NumberFormat, _ scope: Scope) throws -> hid_t {
    let type = try scope.take("H5Tcopy", H5Tcopy(H5T_IEEE_F32LE_g), H5Tclose)
    guard format != .float32 else { return type }
    let (exponent, mantissa) = format == .bfloat16 ? (8, 7) : (5, 10)
    try check("H5Tset_fields", H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa))
    try check("H5Tset_size", H5Tset_size(type, 2))
    try check("H5Tset_precision", H5Tset_precision(type, 16))
    try check("H5Tset_ebias", H5Tset_ebias(type, 1 << (exponent - 1) - 1))
    return type
  }

  /// The version of the library, for manifests.
  static func version() -> String {
    var (major, minor, release): (UInt32, UInt32, UInt32) = (0, 0, 0)
    H5get_libversion(&major, &minor, &release)
    return "\(major).\(minor).\(release)"
  }
}
