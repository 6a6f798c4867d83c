import TensorBase

/// The largest element, exact; NaN if one is NaN; minus infinity for an empty row.
public func rowMaximum(_ row: UnsafePointer<Float>, count: Int) -> Float {
  kernels.rowMaximum(row, count: count)
}

/// Maximum and ln sum exp(x - maximum) of a row. The sum has 16 lanes (lane = index mod 16) and the fixed tree. NaN
/// propagates.
///
/// - Parameter blockSums: if given, receives the sum of exp(x - maximum) of each block of `exponentialBlock` elements;
///   lanes and tree as for the row.
public func logSumExp(_ row: UnsafePointer<Float>, count: Int, blockSums: UnsafeMutablePointer<Float>? = nil) -> (
  maximum: Float, logSum: Float
) {
  kernels.logSumExp(row, count: count, blockSums: blockSums)
}

/// `logSumExp` and the entropy logSum - (sum of e^d d) / (sum of e^d), d = x - maximum, in one pass.
/// Logits of minus infinity count as probability 0.
public func rowStatistics(_ row: UnsafePointer<Float>, count: Int) -> RowStatistics {
  kernels.rowStatistics(row, count: count)
}

/// Divides a row of logits by the temperature, in place. 1 leaves every bit as it is.
public func divideRow(_ row: UnsafeMutablePointer<Float>, count: Int, by temperature: Float) {
  kernels.divideRow(row, count: count, by: temperature)
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
  kernels.logProbBackward(
    dLogits, logits: logits, count: count, target: target, statistics: statistics, cLogProb: cLogProb,
    cEntropy: cEntropy, temperature: temperature)
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
