/// How token losses become one number: the weight of each token, from counts over the whole update batch that are known
/// before the first backward pass. So neither micro-batches nor ranks change it.
public enum Aggregation: String, Codable, Sendable, CaseIterable {
  /// 1 / N, N the tokens of the update batch (DAPO; TRL "dapo", verl "token-mean").
  case tokenMean = "token_mean"
  /// 1.
  case tokenSum = "token_sum"
  /// 1 / (B T_i), B all sequences of the update batch, those without tokens included (GRPO's paper; TRL "grpo").
  case seqMeanTokenMean = "seq_mean_token_mean"
  /// 1 / B.
  case seqMeanTokenSum = "seq_mean_token_sum"
  /// 1 / (B L) with a fixed L (Dr.GRPO).
  case seqMeanTokenSumNorm = "seq_mean_token_sum_norm"
  /// 1 / (P tokens of the prompt's group), P the prompts (SkyRL).
  case promptMean = "prompt_mean"

  /// One weight a sample, for each of its tokens; 0 for a sample without tokens.
  ///
  /// - Parameters:
  ///   - samples: all of the update batch.
  ///   - length: L of `seq_mean_token_sum_norm`: a fixed number, such as the longest response allowed.
  public func weights(_ samples: [PolicySample], length: Int = 0) -> [Double] {
    weights(tokenCounts: samples.map(\.tokenCount), groups: samples.map(\.group), length: length)
  }

  /// The same from the counts T_i and the group of each sample.
  public func weights(tokenCounts: [Int], groups: [Int], length: Int = 0) -> [Double] {
    precondition(tokenCounts.count == groups.count, "\(tokenCounts.count) counts, \(groups.count) groups")
    let n = Double(max(tokenCounts.reduce(0, +), 1))
    let b = Double(max(tokenCounts.count, 1))
    var groupTokens: [Int: Int] = [:]
    if self == .promptMean { for (t, g) in zip(tokenCounts, groups) { groupTokens[g, default: 0] += t } }
    if self == .seqMeanTokenSumNorm { precondition(length > 0, "\(rawValue) needs a length above 0, got \(length)") }
    return zip(tokenCounts, groups).map { tokens, group in
      if tokens == 0 { return 0 }
      switch self {
      case .tokenMean: return 1 / n
      case .tokenSum: return 1
      case .seqMeanTokenMean: return 1 / (b * Double(tokens))
      case .seqMeanTokenSum: return 1 / b
      case .seqMeanTokenSumNorm: return 1 / (b * Double(length))
      case .promptMean: return 1 / (Double(groupTokens.count) * Double(groupTokens[group]!))
      }
    }
  }
}
