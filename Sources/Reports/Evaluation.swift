import Foundation
import PPO
import Rollout
import Support

/// The figures of evaluated responses, with intervals by paired bootstrap over problems.
public struct Evaluation: Sendable {
  /// A figure of an evaluation, by its key in `eval.json`.
  public enum Figure: String, Codable, Sendable, CaseIterable {
    case accuracy, tokens
    case responseTokens = "response_tokens"
    case codeRatio = "code_ratio"
    case calls
    case execOK = "exec_ok"
    case failed, mended
    case calcShare = "calc_share"
    case verifyShare = "verify_share"
  }

  /// All figures, in the order of tables.
  package static let figures = Figure.allCases

  /// Episodes by problem. Problems are in the order of their first episode.
  public let problems: [(id: String, episodes: [Episode])]
  private let labels: [[[BehaviourAnalysis.BlockLabel]]]
  let looks: [[SecondLook]]?

  /// - Parameters:
  ///   - labels: for each episode, what its executed blocks are for.
  ///   - looks: the second look at each episode; nil: votes are counted by spelling.
  public init(_ episodes: [Episode], labels: [[BehaviourAnalysis.BlockLabel]], looks: [SecondLook]? = nil) {
    var place: [String: Int] = [:]
    var problems: [(id: String, episodes: [Episode])] = []
    var grouped: [[[BehaviourAnalysis.BlockLabel]]] = []
    for (episode, label) in zip(episodes, labels) {
      if let there = place[episode.id] {
        problems[there].episodes.append(episode)
        grouped[there].append(label)
      } else {
        place[episode.id] = problems.count
        problems.append((episode.id, [episode]))
        grouped.append([label])
      }
    }
    self.problems = problems
    self.labels = grouped
    self.looks = looks.map { looks in
      var grouped = [[SecondLook]](repeating: [], count: problems.count)
      for (episode, look) in zip(episodes, looks) { grouped[place[episode.id] ?? 0].append(look) }
      return grouped
    }
  }

  /// The figure as sums by problem.
  public func ratio(_ figure: Figure) -> ProblemRatio {
    func of(_ numerator: (Episode) -> Double, _ denominator: (Episode) -> Double = { _ in 1 }) -> ProblemRatio {
      ProblemRatio(
        numerators: problems.map { $0.episodes.reduce(0) { $0 + numerator($1) } },
        denominators: problems.map { $0.episodes.reduce(0) { $0 + denominator($1) } })
    }
    func share(_ label: BehaviourAnalysis.BlockLabel) -> ProblemRatio {
      ProblemRatio(
        numerators: labels.map { Double($0.joined().count { $0 == label }) },
        denominators: labels.map { Double($0.joined().count) })
    }
    switch figure {
    case .accuracy: return of { $0.verdict == .correct ? 1 : 0 }
    case .tokens: return of { Double($0.modelTokenCount) }
    case .responseTokens: return of { Double($0.responseTokenCount) }
    case .codeRatio: return of { $0.calls.isEmpty ? 0 : 1 }
    case .calls: return of { Double($0.calls.count) }
    case .execOK: return of({ Double($0.calls.count { $0.status == .ok }) }, { Double($0.calls.count) })
    case .failed: return of { $0.calls.contains(where: \.failed) ? 1 : 0 }
    case .mended: return of({ $0.isMended ? 1 : 0 }, { $0.calls.contains(where: \.failed) ? 1 : 0 })
    case .calcShare: return share(.calculation)
    case .verifyShare: return share(.verification)
    }
  }

  /// The figure; nil where there is nothing to divide by.
  public func value(_ figure: Figure) -> Double? { ratio(figure).value }

  /// The 95 % interval of a figure, by bootstrap over problems; nil: it has no value.
  public func interval(_ figure: Figure) -> Interval? { ProblemBootstrap().interval(ratio(figure)) }

  /// The content of `eval.json`.
  package func report() -> [String: Any] {
    var report: [String: Any] = [:]
    for figure in Figure.allCases {
      report[figure.rawValue] = value(figure) ?? NSNull()
      let interval = interval(figure)
      report[figure.rawValue + "_low"] = interval?.low ?? NSNull()
      report[figure.rawValue + "_high"] = interval?.high ?? NSNull()
    }
    if let ratio = lastNumberRatio {
      let interval = ProblemBootstrap().interval(ratio)
      report["accuracy_last_number"] = ratio.value ?? NSNull()
      report["accuracy_last_number_low"] = interval?.low ?? NSNull()
      report["accuracy_last_number_high"] = interval?.high ?? NSNull()
    }
    let episodes = problems.flatMap(\.episodes)
    report["problems"] = problems.count
    report["samples"] = episodes.count
    report["cut_off"] = mean(episodes.map { $0.finish == .length ? 1 : 0 }) ?? NSNull()
    report["tokens_correct"] =
      mean(episodes.filter { $0.verdict == .correct }.map { Double($0.modelTokenCount) }) ?? NSNull()
    report["tokens_incorrect"] =
      mean(episodes.filter { $0.verdict != .correct }.map { Double($0.modelTokenCount) }) ?? NSNull()
    var verdicts: [String: Int] = [:]
    for verdict in Verdict.allCases { verdicts[verdict.rawValue] = episodes.count { $0.verdict == verdict } }
    report["verdicts"] = verdicts
    report.merge(libraryReport()) { $1 }
    report.merge(atK()) { $1 }
    return report
  }

  /// avg@k, pass@k (unbiased) and maj@k for k = the fewest samples a problem has.
  private func atK() -> [String: Any] {
    let k = problems.map(\.episodes.count).min() ?? 0
    guard k > 0 else { return [:] }
    func over(_ value: ([Episode]) -> Double) -> Any { mean(problems.map { value($0.episodes) }) ?? NSNull() }
    return [
      "k": k,
      "avg_at_k": over { averageAtK($0.map { $0.verdict == .correct }, k: k) },
      "pass_at_k": over { episodes in
        passAtK(samples: episodes.count, correct: episodes.count { $0.verdict == .correct }, k: k)
      },
      "maj_at_k": mean(
        problems.indices.map { place in
          majorityAtK(
            answers: classes(ofProblem: place), correct: problems[place].episodes.map { $0.verdict == .correct }, k: k)
        }) ?? NSNull(),
    ]
  }

  private func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }
}
