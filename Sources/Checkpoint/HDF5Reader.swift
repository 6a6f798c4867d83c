@preconcurrency import CHDF5
import Foundation
import Support
import Tensor

/// Finds datasets in an HDF5 file; their bytes are read by our own loop.
///
/// Only what needs no trust is accepted: hard links, plain contiguous datasets that lie inside of the file.
final class HDF5Reader {
  let file: InputFile
  private let handle: hid_t

  struct Dataset {
    let shape: [Int]
    /// nil when it holds no numbers of a kind that weights have.
    let format: NumberFormat?
    let isText: Bool
    let range: Range<Int>
  }

  init(_ path: String) throws {
    let file = try InputFile(path)
    self.file = file
    do {
      handle = try HDF5.exclusively { scope in
        let access = try scope.take("H5Pcreate", H5Pcreate(H5P_CLS_FILE_ACCESS_ID_g), H5Pclose)
        // Files are replaced, never changed, so a lock would only fail where the file system has none.
        try HDF5.check("H5Pset_file_locking", H5Pset_file_locking(access, false, true))
        return try HDF5.check("H5Fopen", H5Fopen(path, 0, access))
      }
    } catch let failure as HDF5.Failure {
      throw MartletError(
        .data, "\(path): is not a whole HDF5 file (\(failure.reason), \(file.byteCount) bytes); copy it again")
    }
  }

  deinit { _ = try? HDF5.exclusively { _ in H5Fclose(handle) } }

  func fail(_ path: String, _ message: String) -> MartletError {
    MartletError(.data, "\(file.path): \(path): \(message)")
  }

  private func reporting<Result>(_ path: String, _ body: (HDF5.Scope) throws -> Result) throws -> Result {
    do { return try HDF5.exclusively(body) } catch let failure as HDF5.Failure {
      throw fail(path, "cannot be read (HDF5 \(failure.call): \(failure.reason)); the file is damaged, copy it again")
    }
  }

  /// Whether a hard link of that name is in the group `parent`, which is there.
  private func isLinked(_ path: String) throws -> Bool {
    guard try HDF5.check("H5Lexists", H5Lexists(handle, path, 0)) > 0 else { return false }
    var info = H5L_info_t()
    try HDF5.check("H5Lget_info", H5Lget_info(handle, path, &info, 0))
    guard info.type == H5L_TYPE_HARD else { throw HDF5.Failure(call: "H5Lget_info", reason: "is not a hard link") }
    return true
  }

  private func isThere(_ path: String) throws -> Bool {
    let parent = Support.folder(of: path)
    return try (parent == "/" || isLinked(parent)) && isLinked(path)
  }

  /// The number of links in a group; 0 when it is not there.
  func linkCount(_ group: String) throws -> Int {
    try reporting(group) { _ in
      guard try isThere(group) else { return 0 }
      var info = H5G_info_t()
      try HDF5.check("H5Gget_info_by_name", H5Gget_info_by_name(handle, group, &info, 0))
      return Int(clamping: info.nlinks)
    }
  }

  /// The names in a group, sorted.
  func links(_ group: String) throws -> [String] {
    let count = try linkCount(group)
    return try reporting(group) { _ in
      try (0..<count).map { index in
        func name(_ buffer: UnsafeMutablePointer<CChar>?, _ size: Int) throws -> Int {
          try HDF5.check(
            "H5Lget_name_by_idx",
            H5Lget_name_by_idx(handle, group, H5_INDEX_NAME, H5_ITER_INC, hsize_t(index), buffer, size, 0))
        }
        let length = try min(name(nil, 0), 4096)
        return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: length + 1) { buffer in
          buffer[length] = 0
          _ = try name(buffer.baseAddress, length + 1)
          return String(cString: buffer.baseAddress!)
        }
      }
    }
  }

  /// The dataset at `path`, or nil when there is none.
  func dataset(_ path: String) throws -> Dataset? {
    let found = try reporting(path) { try isThere(path) ? describe(path, $0) : nil }
    guard let found else { return nil }
    guard let offset = found.offset, offset >= 0, found.byteCount <= file.byteCount,
      offset <= file.byteCount - found.byteCount
    else {
      throw fail(path, "is not a plain contiguous dataset inside of the file; write the file again with `train import`")
    }
    return Dataset(
      shape: found.shape, format: found.format, isText: found.isText, range: offset..<offset + found.byteCount)
  }

  private func describe(_ path: String, _ scope: HDF5.Scope) throws
    -> (shape: [Int], format: NumberFormat?, isText: Bool, byteCount: Int, offset: Int?)
  {
    let dataset = try scope.take("H5Dopen2", H5Dopen2(handle, path, 0), H5Dclose)
    let type = try scope.take("H5Dget_type", H5Dget_type(dataset), H5Tclose)
    let space = try scope.take("H5Dget_space", H5Dget_space(dataset), H5Sclose)
    let creation = try scope.take("H5Dget_create_plist", H5Dget_create_plist(dataset), H5Pclose)
    let rank = Int(try HDF5.check("H5Sget_simple_extent_ndims", H5Sget_simple_extent_ndims(space)))
    var sizes = [hsize_t](repeating: 0, count: max(rank, 1))
    try HDF5.check("H5Sget_simple_extent_dims", H5Sget_simple_extent_dims(space, &sizes, nil))
    let shape = sizes.prefix(rank).map { Int(clamping: $0) }
    let isEmpty = H5Sget_simple_extent_type(space) == H5S_NULL || shape.contains(0)
    let kind = H5Tget_class(type)
    var format: NumberFormat?
    if kind == H5T_FLOAT {
      for candidate in [NumberFormat.float32, .bfloat16, .float16] where format == nil {
        if try HDF5.check("H5Tequal", H5Tequal(type, HDF5.type(candidate, scope))) > 0 { format = candidate }
      }
    }
    let isText = kind == H5T_STRING && H5Tis_variable_str(type) == 0
    guard !isEmpty else { return (shape, format, isText, 0, 0) }
    var bytes = H5Tget_size(type)
    for size in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
      bytes = overflow ? Int.max : product
    }
    let plain =
      H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0
      && H5Dget_storage_size(dataset) == hsize_t(bytes)
    let offset = H5Dget_offset(dataset)
    return (shape, format, isText, bytes, plain && offset < UInt64(Int.max) ? Int(offset) : nil)
  }

  /// The bytes of a text or byte dataset, or nil when there is none.
  func bytes(_ path: String) throws -> Data? {
    try dataset(path).map { try file.bytes($0.range) }
  }

  /// Fills `target` with the bytes at `path`, which must be as many.
  func bytes(_ path: String, into target: UnsafeMutableRawBufferPointer) throws {
    guard let found = try dataset(path) else { throw fail(path, "is missing; use another step folder") }
    guard found.format == nil, !found.isText, found.range.count == target.count else {
      throw fail(
        path, "has \(found.range.count) bytes where \(target.count) codes are asked for; use another step folder")
    }
    try file.read(into: target, at: found.range.lowerBound)
  }

  /// The numbers at `path`, which must have this shape.
  func tensor(_ path: String, name: String, shape: [Int]) throws -> StoredTensor {
    guard let found = try dataset(path) else {
      throw fail(path, "is missing; the file is not whole, write it again with `train import`")
    }
    guard let format = found.format else {
      throw fail(path, "does not hold f32, f16 or bf16 numbers; write it as float32")
    }
    guard found.shape == shape else {
      throw fail(path, "has shape \(found.shape) where /config asks for \(shape); the two are not of one model")
    }
    return StoredTensor(file: file, name: name, shape: shape, format: format, offset: found.range.lowerBound)
  }
}
