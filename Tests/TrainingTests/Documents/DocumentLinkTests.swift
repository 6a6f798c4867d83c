import Foundation
import Testing

/// Links of README and docs: the file is there, and a link to a line quotes what stands on it.
@Suite struct DocumentLinkTests {
  struct Link: CustomTestStringConvertible {
    let document, text, target: String
    var testDescription: String { "\(document): [\(text)](\(target))" }
  }

  static let links: [Link] = {
    let root = URL(fileURLWithPath: TrainProgram.root)
    let docs = (try? FileManager.default.contentsOfDirectory(atPath: root.path + "/docs")) ?? []
    let documents = docs.filter { $0.hasSuffix(".md") }.map { "docs/" + $0 } + ["README.md", "CONTRIBUTING.md"]
    return documents.sorted().flatMap { document -> [Link] in
      let text = (try? String(contentsOf: root.appendingPathComponent(document), encoding: .utf8)) ?? ""
      return text.matches(of: /\[([^\]\n]+)\]\(([^)\s]+)\)/).compactMap { match in
        let target = String(match.2)
        return target.contains("://") ? nil : Link(document: document, text: String(match.1), target: target)
      }
    }
  }()

  @Test func thereAreLinks() { #expect(Self.links.count > 20) }

  @Test(arguments: links) func leadsWhereItSays(_ link: Link) throws {
    let parts = link.target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let document = URL(fileURLWithPath: TrainProgram.root).appendingPathComponent(link.document)
    let file =
      parts[0].isEmpty ? document : document.deletingLastPathComponent().appendingPathComponent(parts[0]).standardized
    #expect(FileManager.default.fileExists(atPath: file.path), "\(file.path) is missing")
    guard parts.count == 2, let number = parts[1].wholeMatch(of: /L(\d+)/).flatMap({ Int($0.1) }) else { return }
    let lines = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n")
    let code = try #require(link.text.wholeMatch(of: /`(.+)`/), "a link to a line quotes it").1
    let places = lines.indices.filter { lines[$0].contains(code) }.map { $0 + 1 }
    #expect(places == [number], "`\(code)` stands on \(places); run make architecture")
  }
}
