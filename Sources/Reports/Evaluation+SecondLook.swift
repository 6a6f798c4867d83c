import PPO
import Rollout
import Tokenization
import Transformer

extension Evaluation {
  /// What an evaluation asks the grader about an episode, besides the verdict.
  public struct SecondLook: Sendable, Equatable {
    /// A key that answers of equal value share; nil: no vote.
    public var vote: String?
    /// Whether the last number of the response is the gold answer. It is never a reward, since any number in the text
    /// may match.
    public var lastNumberIsRight: Bool

    /// What the grader said of one episode.
    public init(vote: String?, lastNumberIsRight: Bool) {
      self.vote = vote
      self.lastNumberIsRight = lastNumberIsRight
    }
  }

  /// A second look at each episode. Right answers share one vote, since all equal the gold answer.
  /// - Throws: `MartletError` (configuration) when the grader's worker is needed and cannot start.
  package static func secondLooks(_ episodes: [Episode], grader: Grader, tokenizer: Tokenizer) throws -> [SecondLook] {
    let numbers = episodes.map { extractLastNumber($0.ownWords(tokenizer)) }
    let places = episodes.indices.filter { episodes[$0].gold != nil && numbers[$0] != nil }
    let verdicts = try grader.gradeMany(places.map { (answer: numbers[$0], gold: episodes[$0].gold ?? "") })
    let right = Set(zip(places, verdicts).filter { $1.verdict == .correct }.map(\.0))
    let wrong = Set(episodes.filter { $0.verdict != .correct }.compactMap(\.answer)).sorted()
    let keys = Dictionary(uniqueKeysWithValues: zip(wrong, try grader.voteKeys(wrong)))
    return episodes.indices.map { place in
      let episode = episodes[place]
      let vote = episode.verdict == .correct ? "right" : episode.answer.flatMap { keys[$0] ?? nil }
      return SecondLook(vote: vote, lastNumberIsRight: right.contains(place))
    }
  }

  /// The accuracy of last numbers, as sums by problem; nil without second looks.
  package var lastNumberRatio: ProblemRatio? {
    guard let looks else { return nil }
    return ProblemRatio(
      numerators: looks.map { Double($0.count { $0.lastNumberIsRight }) }, denominators: looks.map { Double($0.count) })
  }

  /// The class of each answer to a problem: by value with second looks, else by spelling; nil: no vote.
  func classes(ofProblem problem: Int) -> [Int?] {
    let keys = looks?[problem].map(\.vote) ?? problems[problem].episodes.map(\.answer)
    var known: [String: Int] = [:]
    return keys.map { key in
      key.map { key in
        let number = known[key] ?? known.count
        known[key] = number
        return number
      }
    }
  }
}
