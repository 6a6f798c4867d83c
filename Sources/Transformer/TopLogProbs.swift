import Tensor

/// The k likeliest tokens of a row with their log-probs, and all others as one bucket: k + 1 numbers that sum to 1.
public struct TopLogProbs: Sendable, Equatable {
  /// Where the tokens stand in the row: their ids, or in a filtered row their places among the kept ids. They ascend.
  public var places: [Int32]
  /// The log-prob of each.
  public var logProbs: [Float]
  /// The log of what all other tokens have together; minus infinity where there are none.
  public var rest: Float

  static let none = TopLogProbs(places: [], logProbs: [], rest: 0)

  /// Numbers that are known already.
  public init(places: [Int32], logProbs: [Float], rest: Float) {
    precondition(places.count == logProbs.count, "\(places.count) places, but \(logProbs.count) log-probs")
    self.places = places
    self.logProbs = logProbs
    self.rest = rest
  }

  /// The numbers of the tokens at `places`.
  /// - Parameter row: `count` logits over the temperature; as before when this returns.
  init(at places: [Int32], of row: UnsafeMutablePointer<Float>, count: Int, _ statistics: RowStatistics) {
    self.places = places
    let logits = places.map { row[Int($0)] }
    logProbs = logits.map(statistics.logProbability)
    rest = -.infinity
    guard places.count < count else { return }
    // Summed over the others themselves: 1 - the k probabilities would have no digits left where these are nearly 1.
    for place in places { row[Int(place)] = -.infinity }
    let others = logSumExp(row, count: count)
    for (place, logit) in zip(places, logits) { row[Int(place)] = logit }
    rest = ((others.maximum - statistics.maximum) + others.logSum) - statistics.logSum
  }

  /// The places of the `k` largest of the first `count` logits, ascending. Of equal ones the first are taken.
  static func largest(_ k: Int, of row: UnsafePointer<Float>, count: Int) -> [Int32] {
    var best: [(logit: Float, place: Int32)] = []  // falling
    for place in 0..<count where best.count < k || row[place] > best[k - 1].logit {
      var slot = best.count
      while slot > 0, row[place] > best[slot - 1].logit { slot -= 1 }
      best.insert((row[place], Int32(place)), at: slot)
      if best.count > k { best.removeLast() }
    }
    return best.map(\.place).sorted()
  }
}

/// The reverse KL between two views of the same k + 1 buckets, sum P_b R_b with R_b = log P_b - log Q_b: P of the model
/// that learns, Q of its teacher. It is at most the KL over all tokens, and equals that once k covers them.
///
/// The derivative by the logit of a token with probability p in bucket b is p (R_b - KL).
struct BucketDivergence {
  /// The KL in nats.
  let value: Double
  /// R_b - KL of each of the k tokens.
  let slopes: [Double]
  /// R_b - KL of the others.
  let restSlope: Double

  init(_ own: TopLogProbs, _ teacher: TopLogProbs) {
    precondition(own.places == teacher.places, "a divergence of other tokens: \(own.places) and \(teacher.places)")
    let buckets = zip(own.logProbs + [own.rest], teacher.logProbs + [teacher.rest]).map { p, q in
      // 0 log 0 is 0, and so is what a token without probability has of the gradient.
      p == -.infinity ? (0, 0) : (Mathematics.exp(Double(p)), Double(p) - Double(q))
    }
    let kl = buckets.reduce(0) { $0 + $1.0 * $1.1 }
    value = kl
    slopes = buckets.dropLast().map { $0.0 == 0 ? 0 : $0.1 - kl }
    restSlope = buckets.last.map { $0.0 == 0 ? 0 : $0.1 - kl } ?? 0
  }
}

/// What a target's KL to its teacher is, and what it counts in the loss.
struct TeacherPull {
  let divergence: BucketDivergence
  /// Where the k tokens stand in the row.
  let places: [Int32]
  /// dLoss / dKL.
  let coefficient: Float

  /// The gradient of cLogProb log-prob + cEntropy entropy + the KL's part, as `logProbBackward` gives that of the first
  /// two.
  /// - Parameters:
  ///   - row: `count` logits over the temperature, then their gradients.
  ///   - target: the place of the target's token.
  func backward(
    _ row: UnsafeMutablePointer<Float>, count: Int, target: Int, statistics: RowStatistics,
    coefficients: TargetCoefficients, temperature: Float
  ) {
    let (cLogProb, cEntropy) = (Double(coefficients.logProb), Double(coefficients.entropy))
    let restSlope = Double(coefficient) * divergence.restSlope
    var special = zip(places, divergence.slopes).map { (Int($0), Double(coefficient) * $1, row[Int($0)]) }
    if !places.contains(Int32(target)) { special.append((target, restSlope, row[target])) }
    // All tokens without a bucket of their own: p (restSlope - cLogProb), and the entropy's part.
    logProbBackward(
      row, logits: row, count: count, target: target, statistics: statistics,
      cLogProb: Float(cLogProb - restSlope), cEntropy: coefficients.entropy, temperature: temperature)
    for (place, slope, logit) in special {
      let logProb = Double(statistics.logProbability(of: logit))
      let p = Mathematics.exp(logProb)
      var gradient = cLogProb * ((place == target ? 1 : 0) - p) + p * slope
      if cEntropy != 0 { gradient -= cEntropy * p * (max(logProb, -88) + Double(statistics.entropy)) }
      row[place] = Float(gradient / Double(temperature))
    }
  }
}

extension TargetScores {
  mutating func makeRoomForViews(_ targets: [Target]) {
    if targets.contains(where: { $0.likeliest > 0 }) {
      likeliest = [TopLogProbs](repeating: .none, count: targets.count)
    }
    if targets.contains(where: { $0.teacher != nil }) { divergences = [Double](repeating: 0, count: targets.count) }
  }

  /// What `chunk` found for the targets of `range`.
  mutating func takeViews(of chunk: HeadChunk, _ range: Range<Int>) {
    if !likeliest.isEmpty { for (index, view) in zip(range, chunk.views) { likeliest[index] = view } }
    for (index, pull) in zip(range, chunk.pulls) { if let pull { divergences[index] = pull.divergence.value } }
  }
}
