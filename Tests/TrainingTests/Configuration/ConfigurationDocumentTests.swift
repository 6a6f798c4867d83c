import Foundation
import Support
import Testing

@testable import Training

/// docs/configuration.md, docs/pipelines.md and the decoders know the same keys, with the same defaults.
@Suite struct ConfigurationDocumentTests {
  struct Row: Sendable {
    var key: String
    /// The cell of its default; "" where there is none.
    var text: String
  }

  /// The rows of each section's table of keys and defaults, by the section's name.
  private static func tables() throws -> [String: [Row]] {
    let text = try ["configuration", "pipelines"].map {
      try String(contentsOfFile: TrainProgram.root + "/docs/\($0).md", encoding: .utf8)
    }.joined()
    var section = ""
    var isOfKeys = false
    var tables: [String: [Row]] = [:]
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      isOfKeys = line.hasPrefix("| key | default |") || isOfKeys && line.hasPrefix("|")
      if line.hasPrefix("#") {
        section = line.drop { $0 == "#" || $0 == " " }.replacing("`", with: "").description
        continue
      }
      guard isOfKeys, line.hasPrefix("| `") else { continue }
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      let keys = cells[1].split(separator: ",").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
      let defaults = keys.count == 1 ? [cells[2]] : cells[2].components(separatedBy: ", ")
      try #require(defaults.count == keys.count, "\(line)")
      tables[section, default: []] += zip(keys, defaults).map {
        Row(key: $0, text: $1 == "below" ? below($0, in: text) : $1)
      }
    }
    return tables
  }

  /// A default too long for a cell stands in a list: "* `KEY`: `DEFAULT`", over as many lines as it needs.
  private static func below(_ key: String, in text: String) -> String {
    let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    guard let start = words.range(of: "* `\(key)`: `") else { return "" }
    return String(words[start.upperBound...].prefix { $0 != "`" })
  }

  @Test func theStagesKeysAreTheDecoders() throws {
    let sections = try Self.tables()
    let known = try Configuration.knownKeys()
    let defaults = try ConfigurationTree(encoding: Configuration())
    let general = "General keys"
    var documented: [String] = []
    for (section, rows) in sections where section == general || known.value(at: section) != nil {
      for row in rows {
        let path = section == general ? row.key : section + "." + row.key
        documented.append(path)
        expectDefault(row, path: path, value: section == "new_model.shape" ? nil : defaults.value(at: path))
      }
    }
    #expect(Set(documented).count == documented.count)
    // A row of a whole section stands for a table of its own.
    let leaves = Set(known.leaves.map(\.path)).filter { $0 != "new_model.tokenizer" }
    #expect(Set(documented).subtracting(["new_model"]).subtracting(leaves) == [], "in the document alone")
    #expect(leaves.subtracting(documented) == [], "in the decoder alone")
  }

  /// A value stands in the cell, in code or bare. No value: the key is absent, and the cell is empty or says what
  /// happens then.
  private func expectDefault(_ row: Row, path: String, value: ConfigurationTree?) {
    let bare = row.text.trimmingCharacters(in: CharacterSet(charactersIn: "`"))
    switch value {
    case nil: break
    case .list(let values)? where values.isEmpty: #expect(row.text.isEmpty, "\(path): nothing, not \(row.text)")
    case .text(let text)?: #expect(bare == text, "\(path): \(text), not \(row.text)")
    case let value?:
      let documented = try? ConfigurationTree(yaml: "value: \(bare)", path: path)["value"]
      let isEqual = documented.map { Self.isEqual($0, value) } ?? false
      #expect(isEqual, "\(path): \(value.json), not \(row.text)")
    }
  }

  private static func isEqual(_ a: ConfigurationTree, _ b: ConfigurationTree) -> Bool {
    switch (a, b) {
    case (.list(let a), .list(let b)): a.count == b.count && zip(a, b).allSatisfy { isEqual($0, $1) }
    case (.text(let a), .text(let b)): a == b
    default: Double(a.json).map { $0 == Double(b.json) } ?? (a.json == b.json)
    }
  }

  @Test func theKeysOfPipelinesAndAblationsAreTheDecoders() throws {
    let sections = try Self.tables()
    func keys(_ section: String) -> Set<String> { Set(sections[section, default: []].map(\.key)) }
    func keys(of tree: ConfigurationTree) -> Set<String> { Set(tree.leaves.map(\.path)) }
    #expect(keys("Pipeline files: train pipeline") == Set(PipelineFile.keys))
    #expect(keys("problems") == keys(of: try PipelineFile.keysOfProblems()))
    #expect(keys("summary") == keys(of: try PipelineFile.keysOfSummary()))
    let ablation = try ConfigurationTree(encoding: Ablation.File(run: "", pipeline: "", row: "", seeds: [], cases: []))
    #expect(keys("Ablation files: train ablate") == keys(of: ablation))
  }

  @Test func everyFileOfConfigsNamesItsStage() throws {
    let folder = TrainProgram.root + "/configs"
    for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() where name.hasSuffix(".yaml") {
      guard case .stage(let kind) = try ConfigurationKind.of(folder + "/" + name) else { continue }
      let configuration = try Configuration.load(folder + "/" + name, stage: kind)
      #expect(configuration.warnings(stage: kind) == [], "\(name)")
      let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
      #expect(text.contains("\nstage: \(kind.rawValue)\n"), "\(name)")
    }
  }
}
