import Foundation
import Support

/// The figures of one step, in the order in which they were set.
public struct Metrics: Sendable, Equatable {
  /// A value of `metrics.jsonl`.
  public enum Value: Sendable, Equatable {
    case int(Int)
    case double(Double)
    case string(String)
    case null
  }

  /// The keys, in order.
  public private(set) var keys: [String] = []
  private var values: [String: Value] = [:]

  /// No figures yet.
  public init() {}

  /// Metrics that begin with `step`, counted from 1.
  public init(step: Int) { self["step"] = .int(step) }

  /// A new key goes to the end, a known key keeps its place, nil removes the key.
  public subscript(key: String) -> Value? {
    get { values[key] }
    set {
      if newValue == nil {
        keys.removeAll { $0 == key }
      } else if values[key] == nil {
        keys.append(key)
      }
      values[key] = newValue
    }
  }

  /// The step these figures belong to.
  public var step: Int? {
    if case .int(let step) = self["step"] { step } else { nil }
  }

  /// The finite numbers, in order, without `step`.
  public var numbers: [(key: String, value: Double)] {
    keys.compactMap { key in
      guard key != "step" else { return nil }
      switch values[key] {
      case .int(let number): return (key, Double(number))
      case .double(let number) where number.isFinite: return (key, number)
      default: return nil
      }
    }
  }

  /// One JSON object with its line end: keys in order, numbers in their shortest round-trip form, null for numbers that
  /// are not finite.
  public var line: String {
    guard let bytes = try? JSONLines.line(self) else { preconditionFailure("metrics: no number is left to refuse") }
    return String(decoding: bytes, as: UTF8.self)
  }
}

extension Metrics: Encodable {
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: AnyKey.self)
    for key in keys {
      let place = AnyKey(stringValue: key)
      switch values[key] {
      case .int(let number): try container.encode(number, forKey: place)
      case .double(let number) where number.isFinite: try container.encode(number, forKey: place)
      case .string(let text): try container.encode(text, forKey: place)
      case .double, .null, nil: try container.encodeNil(forKey: place)
      }
    }
  }
}

extension Metrics.Value: ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByStringLiteral {
  public init(integerLiteral value: Int) { self = .int(value) }
  public init(floatLiteral value: Double) { self = .double(value) }
  public init(stringLiteral value: String) { self = .string(value) }
  /// The number; `null` where there is none.
  public init(_ value: Double?) { self = value.map { .double($0) } ?? .null }
}

/// Adds each step's figures to `metrics.jsonl` of a run, and to the TensorBoard file beside it.
public final class MetricsWriter {
  private let file: AppendedFile
  private let board: TensorBoardWriter

  /// - Parameters:
  ///   - run: the run's folder, which exists.
  ///   - resumeAfter: the last step that counts. Lines of later steps, and a torn last line, are removed. nil: a new
  ///     run.
  /// - Throws: `MartletError` (io).
  public init(run: String, resumeAfter: Int? = nil) throws {
    let path = run + "/metrics.jsonl"
    try Self.cut(path, after: resumeAfter)
    file = try AppendedFile(path)
    board = try TensorBoardWriter(folder: run, resumeAfter: resumeAfter)
  }

  /// Appends a line, whole or not at all.
  /// - Throws: `MartletError` (io); the file is then as before.
  public func write(_ metrics: Metrics) throws {
    try file.append(Array(metrics.line.utf8))
    try board.write(step: metrics.step ?? 0, metrics.numbers)
  }

  /// Closes both files.
  public func close() {
    file.close()
    board.close()
  }

  /// Keeps the lines that are whole and not of a later step. The new file replaces the old one atomically.
  private static func cut(_ path: String, after last: Int?) throws {
    guard let old = FileManager.default.contents(atPath: path) else { return }
    var kept = Data()
    var rest = old[...]
    while let end = rest.firstIndex(of: 0x0A) {
      let line = rest[...end]
      rest = rest[(end + 1)...]
      guard let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any] else { continue }
      if let last, let step = object["step"] as? Int, step > last { continue }
      kept += line
    }
    guard kept.count != old.count else { return }
    try writeFileAtomically(kept, to: path)
  }
}
