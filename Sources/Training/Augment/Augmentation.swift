import Demo
import Foundation
import Reports
import Rollout
import Support
import Tensor

/// New problems from a file of problems (`train augment`). A problem is kept with an answer that executed code and the
/// agreement of several responses confirm, and where no test set has it.
public struct Augmentation {
  /// How a new problem comes from an old one.
  public enum Method: String, Codable, Sendable, CaseIterable {
    /// The same problem with other numbers, and in other words (MuggleMath, arXiv:2310.05506).
    case numbers, wording
    /// A new problem from concepts of several (MathScale, arXiv:2403.02884).
    case concepts
    /// Numbers drawn into a template whose program gives the answer; without a model.
    case template
  }

  /// What is made, and what is kept.
  public struct Settings: Sendable {
    /// In turn.
    public var methods: [Method] = [.numbers, .wording, .concepts]
    /// New problems asked for to each old one, by each method.
    public var perProblem = 1
    /// Responses to each new problem, and how many of them must agree.
    public var samples = 4
    public var agree = 3
    /// Words in a row that no problem may share with a test set.
    public var words = 13
    /// Files of test problems.
    public var against: [String] = []
    /// Of all draws.
    public var seed: UInt64 = 0

    /// The defaults.
    public init() {}
  }

  /// A new problem with where it comes from: a line of the result.
  struct Row: Encodable {
    var problem: Problem
    var metadata: Provenance

    enum CodingKeys: CodingKey { case metadata }

    func encode(to encoder: any Encoder) throws {
      try problem.encode(to: encoder)
      var values = encoder.container(keyedBy: CodingKeys.self)
      try values.encode(metadata, forKey: .metadata)
    }
  }

  /// Where a problem comes from, and what confirmed its answer.
  struct Provenance: Encodable, Equatable {
    var method: Method
    /// The ids of the problems that it was made from.
    var from: [String]
    var concepts: [String]?
    /// The identity of the model that wrote and solved it.
    var model: String?
    var seed: UInt64
    /// Responses that agree on the answer, of how many, and how many of those executed code that printed it.
    var agreeing: Int?
    var samples: Int?
    var executed: Int?
    /// The code that gave the answer of a template.
    var program: String?
  }

  /// A problem that was proposed and not kept: a line of the file beside the result.
  struct LeftOut: Encodable {
    var id: String
    var problem: String
    var reason: Reason
    /// The words that a test set has too.
    var gram: String?
  }

  /// Why a proposal is not kept.
  public enum Reason: String, Codable, Sendable, CaseIterable {
    case unreadable, unchanged, repeated, contaminated
    case noAgreement = "no_agreement"
    case notExecuted = "not_executed"
    case otherAnswer = "other_answer"
  }

  /// A problem without an answer yet.
  struct Proposal {
    var id: String
    var text: String
    var method: Method
    var from: [Problem]
    var concepts: [String]?
  }

  let settings: Settings
  private let tests: Decontamination
  private(set) var rows: [Row] = []
  private(set) var leftOut: [LeftOut] = []
  private var seen: Set<String>

  /// - Parameter sources: the old problems' texts, which may not come again.
  /// - Throws: `MartletError` for a test file that cannot be read.
  init(_ settings: Settings, sources: [String]) throws {
    self.settings = settings
    var tests = Decontamination(words: settings.words)
    for path in settings.against {
      for problem in try Problem.readFile(path) { tests.add(problem.problem) }
    }
    self.tests = tests
    seen = Set(sources.map(Self.spelling))
  }

  /// What was kept, and how many were not, by reason.
  public var summary: String {
    let reasons = Reason.allCases.compactMap { reason in
      let count = leftOut.count { $0.reason == reason }
      return count == 0 ? nil : "\(count) \(reason.rawValue.replacing("_", with: " "))"
    }
    return "\(rows.count) problems kept of \(rows.count + leftOut.count)"
      + (reasons.isEmpty ? "" : ": " + reasons.joined(separator: ", "))
  }

  /// The words of a text, by which two texts count as one.
  private static func spelling(_ text: String) -> String {
    Decontamination.words(of: text).joined(separator: " ")
  }

  /// Whether a text was among the sources or has come before.
  func isKnown(_ text: String) -> Bool { seen.contains(Self.spelling(text)) }

  /// Whether a proposal may be answered: it is new, and no test set has it.
  mutating func admits(_ proposal: Proposal) -> Bool {
    let spelling = Self.spelling(proposal.text)
    if spelling.isEmpty { return leaveOut(proposal, .unreadable) }
    if proposal.from.contains(where: { Self.spelling($0.problem) == spelling }) {
      return leaveOut(proposal, .unchanged)
    }
    if !seen.insert(spelling).inserted { return leaveOut(proposal, .repeated) }
    if let gram = tests.match(proposal.text) { return leaveOut(proposal, .contaminated, gram: gram) }
    return true
  }

  @discardableResult
  mutating func leaveOut(_ proposal: Proposal, _ reason: Reason, gram: String? = nil) -> Bool {
    leftOut.append(LeftOut(id: proposal.id, problem: proposal.text, reason: reason, gram: gram))
    return false
  }

  mutating func keep(_ proposal: Proposal, answer: String, _ provenance: Provenance) {
    let problem = Problem(
      id: proposal.id, problem: proposal.text, gold: answer, source: "augment/\(proposal.method.rawValue)")
    rows.append(Row(problem: problem, metadata: provenance))
  }

  /// Writes the result, and what was left out beside it: `FILE.jsonl` and `FILE.left-out.jsonl`.
  func write(to output: String) throws {
    try JSONLines.write(rows, to: output)
    let stem = output.hasSuffix(".jsonl") ? String(output.dropLast(6)) : output
    try JSONLines.write(leftOut, to: stem + ".left-out.jsonl")
  }
}
