/// What a row of logits (already divided by the temperature) tells about its distribution.
public struct RowStatistics: Sendable, Equatable {
  /// The largest logit, exact.
  public var maximum: Float
  /// ln of the sum of exp(x - maximum).
  public var logSum: Float
  /// Entropy in nats; nan where it was not asked for.
  public var entropy: Float

  public init(maximum: Float, logSum: Float, entropy: Float) {
    self.maximum = maximum
    self.logSum = logSum
    self.entropy = entropy
  }

  /// Log-probability of a logit of this row: (x - maximum) - logSum.
  @inline(__always)
  public func logProbability(of logit: Float) -> Float { (logit - maximum) - logSum }
}

/// The largest element, exact; NaN if one is NaN; minus infinity for an empty row.
public func rowMaximum(_ row: UnsafePointer<Float>, count: Int) -> Float {
  var first = Lanes(repeating: -.infinity)
  var second = first
  var index = 0
  while index &+ 32 <= count {
    first = first.maximum(Lanes(row + index))
    second = second.maximum(Lanes(row + index + 16))
    index &+= 32
  }
  if index &+ 16 <= count {
    first = first.maximum(Lanes(row + index))
    index &+= 16
  }
  second = second.maximum(Lanes(row + index, count: count &- index, padding: -.infinity))
  // Adding +0 makes a maximum of -0 the same bits as one of +0, whichever came first.
  return first.maximum(second).treeMaximum + 0
}

/// Elements of a row whose exponentials are summed on their own, to draw from the row.
package let exponentialBlock = 256

/// Maximum and ln sum exp(x - maximum) of a row. The sum has 16 lanes (lane = index mod 16) and the fixed tree. NaN propagates.
///
/// - Parameter blockSums: if given, receives the sum of exp(x - maximum) of each block of `exponentialBlock` elements; lanes and
///   tree as for the row.
public func logSumExp(
  _ row: UnsafePointer<Float>, count: Int, blockSums: UnsafeMutablePointer<Float>? = nil
) -> (maximum: Float, logSum: Float) {
  let maximum = rowMaximum(row, count: count)
  var sums = Lanes(repeating: 0)
  let shift = Lanes(repeating: maximum)
  for start in stride(from: 0, to: count, by: exponentialBlock) {
    let end = min(start &+ exponentialBlock, count)
    var own = Lanes(repeating: 0)
    var index = start
    while index < end {
      // Padding gives exp(-inf) = 0, and a sum that began with +0 does not change when +0 is added.
      let x = index &+ 16 <= end ? Lanes(row + index) : Lanes(row + index, count: end &- index, padding: -.infinity)
      let e = vectorExpOfNonPositive(x - shift)
      sums = sums + e
      own = own + e
      index &+= 16
    }
    blockSums?[start / exponentialBlock] = own.treeSum
  }
  return (maximum, exactLog(sums.treeSum))
}

/// `logSumExp` and the entropy logSum - (sum of e^d d) / (sum of e^d), d = x - maximum, in one pass.
/// Logits of minus infinity count as probability 0.
public func rowStatistics(_ row: UnsafePointer<Float>, count: Int) -> RowStatistics {
  let maximum = rowMaximum(row, count: count)
  var sums = Lanes(repeating: 0)
  var weighted = Lanes(repeating: 0)
  let shift = Lanes(repeating: maximum)
  var index = 0
  while index &+ 16 <= count {
    addStatistics(Lanes(row + index) - shift, &sums, &weighted)
    index &+= 16
  }
  if index < count {
    // Padding far below every logit: its exponential is 0, and 0 times a finite number is 0.
    var tail = SIMD16<Float>(repeating: -1000)
    for lane in 0..<(count &- index) { tail[lane] = row[index &+ lane] - maximum }
    addStatistics(Lanes(tail.lowHalf, tail.highHalf), &sums, &weighted)
  }
  let sum = sums.treeSum
  let logSum = exactLog(sum)
  var weightedSum = weighted.treeSum
  // A logit of minus infinity made 0 * -inf: rare enough to go over the row again without it.
  if weightedSum.isNaN && !sum.isNaN { weightedSum = weightedSumOfFinite(row, count: count, maximum: maximum) }
  return RowStatistics(maximum: maximum, logSum: logSum, entropy: logSum - weightedSum / sum)
}

/// The sum of e^d d without the elements whose exponential is 0, in the same lanes.
private func weightedSumOfFinite(_ row: UnsafePointer<Float>, count: Int, maximum: Float) -> Float {
  var lanes = SIMD16<Float>(repeating: 0)
  for index in 0..<count {
    let d = row[index] - maximum
    let e = exactExp(d)
    if e != 0 { lanes[index & 15].addProduct(e, d) }
  }
  return Lanes(lanes.lowHalf, lanes.highHalf).treeSum
}

/// -88 in place of anything below: its exponential is 0 already, and 0 * -inf would be NaN.
@inline(__always)
private func raised(_ d: SIMD8<Float>) -> SIMD8<Float> { d.replacing(with: -88, where: d .< -88) }

/// sums += e^d, weighted += e^d d.
@inline(__always)
private func addStatistics(_ d: Lanes, _ sums: inout Lanes, _ weighted: inout Lanes) {
  let e = vectorExpOfNonPositive(d)
  sums = sums + e
  weighted = weighted.addingProduct(e, d)
}

/// Log-probability of `index` in a row of logits already divided by the temperature.
public func logProbability(_ row: UnsafePointer<Float>, count: Int, index: Int) -> Float {
  precondition(0 <= index && index < count, "index \(index) outside a row of \(count) logits")
  let (maximum, logSum) = logSumExp(row, count: count)
  return (row[index] - maximum) - logSum
}

/// Entropy in nats of a row of logits already divided by the temperature.
public func rowEntropy(_ row: UnsafePointer<Float>, count: Int) -> Float {
  rowStatistics(row, count: count).entropy
}

/// Divides a row of logits by the temperature, in place. 1 leaves every bit as it is.
public func divideRow(_ row: UnsafeMutablePointer<Float>, count: Int, by temperature: Float) {
  precondition(temperature > 0, "temperature \(temperature): must be positive (greedy decoding divides by nothing)")
  if temperature == 1 { return }
  let divisor = Lanes(repeating: temperature)
  var index = 0
  while index &+ 16 <= count {
    (Lanes(row + index) / divisor).store(row + index)
    index &+= 16
  }
  while index < count {
    row[index] /= temperature
    index &+= 1
  }
}

/// Gradient of cLogProb * logProb(target) + cEntropy * entropy with respect to the logits before the division by the
/// temperature:
///
///     dLogits[j] = (cLogProb (1[j = target] - p_j) - cEntropy p_j (ln p_j + H)) / temperature
///
/// `logits` are those after the division; `dLogits` may be the same memory. `statistics` come from `rowStatistics`
/// (with cEntropy = 0 its entropy is not read).
public func logProbBackward(
  _ dLogits: UnsafeMutablePointer<Float>, logits: UnsafePointer<Float>, count: Int, target: Int,
  statistics: RowStatistics, cLogProb: Float, cEntropy: Float, temperature: Float
) {
  precondition(0 <= target && target < count, "target \(target) outside a row of \(count) logits")
  let entropy = cEntropy == 0 ? 0 : statistics.entropy
  let maximum = Lanes(repeating: statistics.maximum)
  let logSum = Lanes(repeating: statistics.logSum)
  let entropyLanes = Lanes(repeating: entropy)
  let forProbability = Lanes(repeating: -cLogProb / temperature)
  let forEntropy = Lanes(repeating: -cEntropy / temperature)
  let targetLogit = logits[target]
  var index = 0
  while index < count {
    let rest = count &- index
    let x = rest >= 16 ? Lanes(logits + index) : Lanes(logits + index, count: rest, padding: -.infinity)
    let logProb = (x - maximum) - logSum
    let p = vectorExpOfNonPositive(logProb)
    var gradient = p * forProbability
    if cEntropy != 0 {
      let surprise = Lanes(raised(logProb.low), raised(logProb.high)) + entropyLanes
      gradient = p * forProbability.addingProduct(forEntropy, surprise)
    }
    if rest >= 16 {
      gradient.store(dLogits + index)
    } else {
      gradient.store(dLogits + index, count: rest)
    }
    index &+= 16
  }
  // The target's own element again, with 1 - p taken before anything is rounded away.
  let logProb = statistics.logProbability(of: targetLogit)
  let p = exactExp(logProb)
  let surprise = cEntropy == 0 ? 0 : (logProb < -88 ? -88 : logProb) + entropy
  dLogits[target] = (cLogProb * (1 - p) - cEntropy * (p * surprise)) / temperature
}
