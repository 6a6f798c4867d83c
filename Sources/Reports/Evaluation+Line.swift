import Support
import PPO

extension Evaluation {
  /// The main figures on a line, with 95 % intervals where there are any: `accuracy 61.3 % [55.9, 66.6], tokens ...`.
  public var line: String {
    func shown(_ name: String, _ ratio: ProblemRatio, scale: Double, digits: Int, unit: String = "") -> String? {
      guard let value = ratio.value else { return nil }
      let interval = ProblemBootstrap().interval(ratio).map {
        " [\(decimals(scale * $0.low, digits)), \(decimals(scale * $0.high, digits))]"
      }
      return "\(name) \(decimals(scale * value, digits))\(unit)" + (interval ?? "")
    }
    var parts = [
      shown("accuracy", ratio(.accuracy), scale: 100, digits: 1, unit: " %"),
      shown("tokens", ratio(.tokens), scale: 1, digits: 1),
      shown("calls", ratio(.calls), scale: 1, digits: 2),
    ]
    if let lastNumberRatio {
      parts.append(shown("accuracy by the last number", lastNumberRatio, scale: 100, digits: 1, unit: " %"))
    }
    let samples = problems.reduce(0) { $0 + $1.episodes.count }
    parts.append(samples == problems.count ? "\(samples) problems" : "\(problems.count) problems, \(samples) samples")
    return parts.compactMap(\.self).joined(separator: ", ")
  }
}
