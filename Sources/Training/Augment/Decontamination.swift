import Rollout
import Support

/// Finds texts that share words with a test set: n words in a row, or the whole text where it has fewer (GPT-3,
/// arXiv:2005.14165, appendix C).
public struct Decontamination: Sendable {
  /// Words of a gram.
  public let words: Int
  private var grams: Set<String> = []

  /// A filter that knows no test set yet.
  public init(words: Int = 13) {
    precondition(words >= 1, "a gram has at least one word, not \(words)")
    self.words = words
  }

  /// Adds a text of a test set.
  public mutating func add(_ text: String) { grams.formUnion(Self.grams(of: text, words)) }

  /// The first gram of `text` that a test set has too; nil: there is none.
  public func match(_ text: String) -> String? {
    // A short text may lie inside a longer one of the test set, or the other way round, only as a whole.
    Self.grams(of: text, words).first(where: grams.contains)
  }

  /// Runs of letters and digits, in lower case.
  static func words(of text: String) -> [Substring] {
    text.lowercased().split { !$0.isLetter && !$0.isNumber }
  }

  private static func grams(of text: String, _ count: Int) -> [String] {
    let all = words(of: text)
    guard all.count > count else { return all.isEmpty ? [] : [all.joined(separator: " ")] }
    return (0...all.count - count).map { all[$0..<$0 + count].joined(separator: " ") }
  }
}
