import Foundation
import Rollout
import Support
import Tensor

/// A file of JSON lines that several threads make, in the order of their places.
final class OrderedLines<Line: Encodable & Sendable>: @unchecked Sendable {
  private let file: JSONLinesFile
  private let lock = NSLock()
  /// Lines that wait for an earlier one.
  private var waiting: [Int: Line] = [:]
  private var next = 0
  private var failure: (any Error)?

  /// - Throws: `MartletError` (io) when the file cannot be opened.
  init(_ path: String) throws { file = try JSONLinesFile(path) }

  /// Writes what `make` returns to line `place`, from 0, as soon as all before it are written. What it throws, `check`
  /// and `close` throw.
  func put(_ place: Int, _ make: () throws -> Line) {
    let line = Result { try make() }
    lock.withLock {
      do {
        waiting[place] = try line.get()
        while let first = waiting.removeValue(forKey: next) {
          try file.append(first)
          next += 1
        }
      } catch {
        failure = failure ?? error
      }
    }
  }

  /// - Throws: what went wrong first so far.
  func check() throws {
    if let failure = lock.withLock({ failure }) { throw failure }
  }

  /// - Throws: what went wrong first, or `MartletError` (io).
  func close() throws {
    try check()
    try lock.withLock { try file.close() }
  }
}
