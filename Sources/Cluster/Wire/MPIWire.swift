import Foundation
import Glibc
import Support

/// Messages by MPI, through the plug-in `libMartletMPI.so`: no type and no constant of MPI is known here.
public final class MPIWire: Wire {
  private typealias Start = @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Int32
  private typealias Post = @convention(c) (UnsafeMutableRawPointer, Int32, Int32, Int32) -> Int32
  private typealias Completed = @convention(c) (UnsafeMutablePointer<UnsafePointer<Int32>?>) -> Int32
  private typealias Text = @convention(c) (Int32, UnsafeMutablePointer<CChar>, Int32) -> Void
  private typealias Number = @convention(c) () -> Int32

  /// The plug-in's interface, which must be the same on both sides.
  static let interface: Int32 = 1
  /// The plug-in's file.
  static let fileName = "libMartletMPI.so"

  /// This rank.
  public private(set) var rank = 0
  /// All ranks.
  public private(set) var size = 1
  private let start: Start
  private let startSend, startReceive: Post
  private let takeCompleted: Completed
  private let errorText: Text
  private let finish: Number

  /// Opens the plug-in.
  /// - Throws: `MartletError` (configuration) when it is missing, does not load or is of another version.
  public init(launch: Launch) throws {
    guard let path = Self.path else { throw launch.unusable("\(Self.fileName) was not found beside the program") }
    // Open MPI's own plug-ins look for its symbols among the global ones.
    guard let library = dlopen(path, RTLD_NOW | RTLD_GLOBAL) else {
      throw launch.unusable("\(path) does not load: \(dlerror().map { String(cString: $0) } ?? "unknown")")
    }
    func function<T>(_ name: String, _ type: T.Type) throws -> T {
      guard let symbol = dlsym(library, "martlet_mpi_" + name) else {
        throw launch.unusable("\(path) has no martlet_mpi_\(name)")
      }
      return unsafeBitCast(symbol, to: type)
    }
    guard try function("interface", Number.self)() == Self.interface else {
      throw launch.unusable("\(path) is of another version")
    }
    start = try function("start", Start.self)
    startSend = try function("send", Post.self)
    startReceive = try function("receive", Post.self)
    takeCompleted = try function("completed", Completed.self)
    errorText = try function("error", Text.self)
    finish = try function("finish", Number.self)
  }

  /// Beside the program in a build tree, or in `lib/martlet` of an installation; `MARTLET_MPI` names another.
  static var path: String? {
    if let path = ProcessInfo.processInfo.environment["MARTLET_MPI"] { return path }
    return ProgramFolders.above([ProgramFolders.executable]).lazy
      .flatMap { folder in [".build", "lib/martlet", "."].map { "\(folder)/\($0)/\(fileName)" } }
      .first { FileManager.default.isReadableFile(atPath: $0) }
  }

  /// MPI_Init_thread and what follows. Only the thread that calls it may make the other calls.
  /// - Throws: `MartletError` (configuration).
  public func join() throws {
    var (rank, size): (Int32, Int32) = (0, 1)
    let status = start(&rank, &size)
    guard status == 0 else {
      throw MartletError(.configuration, "MPI does not start: \(text(status)); see the launcher's messages")
    }
    (self.rank, self.size) = (Int(rank), Int(size))
  }

  /// Starts a message.
  /// - Throws: `MartletError` (tryAgain).
  public func send(_ bytes: UnsafeRawBufferPointer, to rank: Int, tag: Int) throws -> Int {
    let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress!)
    return try checked(startSend(base, Int32(bytes.count), Int32(rank), Int32(tag)))
  }

  /// Makes room for a message.
  /// - Throws: `MartletError` (tryAgain).
  public func receive(_ bytes: UnsafeMutableRawBufferPointer, from rank: Int, tag: Int) throws -> Int {
    try checked(startReceive(bytes.baseAddress!, Int32(bytes.count), Int32(rank), Int32(tag)))
  }

  /// The messages that were completed since the last call.
  /// - Throws: `MartletError` (tryAgain).
  public func completed() throws -> [Int] {
    var numbers: UnsafePointer<Int32>?
    let count = try checked(takeCompleted(&numbers))
    return UnsafeBufferPointer(start: numbers, count: count).map { Int($0) }
  }

  /// MPI_Finalize.
  public func leave() { _ = finish() }

  /// Nothing: MPI cannot be left alone. The process has to end.
  public func drop() {}

  /// Negative results are errors.
  private func checked(_ result: Int32) throws -> Int {
    guard result >= 0 else { throw MartletError(.tryAgain, "MPI: \(text(-result))") }
    return Int(result)
  }

  private func text(_ status: Int32) -> String {
    var text = [CChar](repeating: 0, count: 1024)
    errorText(status, &text, 1024)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
