import Foundation
import Support
import Tensor

/// What a step folder holds: every file with its size and hash, and every piece of a tensor with its place.
struct StepManifest: Codable, Equatable {
  enum Kind: String, Codable, CaseIterable {
    case parameters
    case firstMoment = "first_moment"
    case secondMoment = "second_moment"
    /// Of the whole optimizer, not of one parameter: `codes`, 256 bytes a row, and `scales`.
    case firstMomentEightBit = "first_moment_8bit"
    case secondMomentEightBit = "second_moment_8bit"
  }

  /// What a kind of optimizer leaves.
  static func momentKinds(_ optimizer: Optimizer) -> Set<Kind> {
    if optimizer.quantized != nil { return [.firstMomentEightBit, .secondMomentEightBit] }
    return optimizer.firstMoment == nil ? [] : [.firstMoment, .secondMoment]
  }

  /// The kinds of moments that the files hold.
  var momentKinds: Set<Kind> { Set(files.flatMap { $0.parts.map(\.kind) }).subtracting([.parameters]) }

  /// Rows `rows[0]..<rows[1]` of a tensor; a tensor too large for one file is cut between rows.
  struct Part: Codable, Equatable {
    let kind: Kind
    let name: String
    let rows: [Int]

    /// Its dataset; a piece of a tensor says so in its name.
    func path(rowCount: Int) -> String {
      let isWhole = rows == [0, rowCount]
      return "/\(kind.rawValue)/\(name)" + (isWhole ? "" : ".rows-\(rows[0])-\(rows[1])")
    }
  }

  struct File: Codable, Equatable {
    let name: String
    let bytes: Int
    let sha256: String
    let parts: [Part]
  }

  static let name = "manifest.json"
  static let format = 1

  var format = StepManifest.format
  let step: Int
  /// Steps that the optimizer has done; nil when none was saved.
  let optimizerStep: Int?
  /// The library that laid the files out.
  let hdf5: String
  let files: [File]
  /// SHA-256 of this very text with 64 zeros here.
  var sha256 = StepManifest.zeros

  enum CodingKeys: String, CodingKey {
    case format, step
    case optimizerStep = "optimizer_step"
    case hdf5, files, sha256
  }

  init(step: Int, optimizerStep: Int?, hdf5: String, files: [File]) {
    self.step = step
    self.optimizerStep = optimizerStep
    self.hdf5 = hdf5
    self.files = files
  }

  private static let zeros = String(repeating: "0", count: 64)

  func encoded() throws -> Data {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    var manifest = self
    manifest.sha256 = Self.zeros
    manifest.sha256 = sha256Hex(of: try encoder.encode(manifest))
    return try encoder.encode(manifest)
  }

  /// Reads and checks `folder/manifest.json`.
  init(folder: String) throws {
    let path = join(folder, Self.name)
    let bytes = try readFile(path, limit: 1 << 28)
    func fail(_ message: String) -> MartletError { MartletError(.data, "\(path): \(message); use another step folder") }
    do {
      self = try JSONDecoder().decode(StepManifest.self, from: bytes)
    } catch is DecodingError {
      throw fail("is not the manifest of a step folder")
    }
    guard format == Self.format else {
      throw fail("has format \(format), and this build reads \(Self.format)")
    }
    guard try encoded() == bytes else { throw fail("does not match its own hash; it was damaged or changed") }
    for file in files {
      guard !file.name.isEmpty, !file.name.contains("/"), !file.name.hasPrefix(".") else {
        throw fail("\"\(file.name)\" is not the name of a file in the folder")
      }
    }
  }
}
