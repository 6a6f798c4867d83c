import TensorBase

extension Table {
  package static func rowMaximum(_ row: UnsafePointer<Float>, count: Int) -> Float {
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
}

extension Table {
  package static func logSumExp(
    _ row: UnsafePointer<Float>, count: Int, blockSums: UnsafeMutablePointer<Float>?
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
}

extension Table {
  package static func rowStatistics(_ row: UnsafePointer<Float>, count: Int) -> RowStatistics {
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
}

/// The sum of e^d d without the elements whose exponential is 0, in the same lanes.
private func weightedSumOfFinite(_ row: UnsafePointer<Float>, count: Int, maximum: Float) -> Float {
  var lanes = SIMD16<Float>(repeating: 0)
  for index in 0..<count {
    let d = row[index] - maximum
    let e = Table.exactExp(d)
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

extension Table {
  package static func divideRow(_ row: UnsafeMutablePointer<Float>, count: Int, by temperature: Float) {
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
}

extension Table {
  package static func logProbBackward(
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
}
