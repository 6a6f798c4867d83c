/// Whether to drop a response from the loss for being too far off policy: A < 0 and the mean over tokens of sampler -
/// current log-prob above `threshold` (TRL `off_policy_mask_threshold`; slime takes the old log-probs).
public func isOffPolicy(
  logProbs: [Double], samplerLogProbs: [Double], advantage: Double, mask: [Bool], threshold: Double
) -> Bool {
  advantage < 0 && -meanLogRatio(logProbs: logProbs, oldLogProbs: samplerLogProbs, mask: mask) > threshold
}

/// The entropy a token must reach to be trained on when only the top `share` of tokens is (Wang et al. 2025; TRL
/// `top_entropy_quantile`): the linearly interpolated quantile 1 - share of all entropies of the batch.
public func entropyThreshold(_ entropies: [Double], share: Double) -> Double {
  precondition((0...1).contains(share), "share must lie in 0...1, got \(share)")
  return entropies.isEmpty ? 0 : quantile(entropies.sorted(), 1 - share)
}

/// Linear interpolation between the two nearest of `sorted` (numpy's and PyTorch's default).
func quantile(_ sorted: [Double], _ q: Double) -> Double {
  let place = q * Double(sorted.count - 1)
  let lower = Int(place)
  let upper = min(lower + 1, sorted.count - 1)
  return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
}
