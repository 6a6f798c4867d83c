import Foundation
import Tensor
import Testing

@Suite struct LogProbsTests {
  static let counts = [1, 2, 15, 16, 17, 31, 32, 33, 48, 111, 1003]

  @Test(arguments: counts) func equalTheTwinsBitForBit(count: Int) {
    for scale: Float in [0.01, 4, 200] {
      var row = randomFloats(count, 80, UInt64(count)).map { $0 * scale }
      for _ in 0..<2 {
        let twin = ScalarLogProbs.statistics(row)
        let statistics = rowStatistics(row, count: count)
        #expect(statistics == twin)
        #expect(statistics.entropy.isFinite && statistics.entropy >= 0)
        #expect(rowMaximum(row, count: count) == row.max())
        #expect(logSumExp(row, count: count) == (twin.maximum, twin.logSum))
        #expect(rowEntropy(row, count: count) == twin.entropy)
        let index = count / 2
        let logProb = logProbability(row, count: count, index: index)
        #expect(logProb == twin.logProbability(of: row[index]))
        #expect(logProb == (row[index] - twin.maximum) - twin.logSum)
        // A filtered token: the second time around one logit is minus infinity.
        if count > 1 { row[count - 1] = -.infinity }
      }
    }
  }

  @Test(arguments: counts) func agreeWithDoublePrecision(count: Int) {
    let row = randomFloats(count, 81, UInt64(count)).map { $0 * 6 }
    let exact = doubles(row)
    let sum = log(exact.reduce(0) { $0 + exp($1) })
    let entropy = exact.reduce(0) { $0 - exp($1 - sum) * ($1 - sum) }
    for index in row.indices {
      let logProb = logProbability(row, count: count, index: index)
      #expect(abs(Double(logProb) - (exact[index] - sum)) < 2e-6, "index \(index)")
    }
    #expect(abs(Double(rowEntropy(row, count: count)) - entropy) < 2e-6)
  }

  @Test func masksAndNaN() {
    var row = randomFloats(50, 82)
    row[7] = -.infinity
    let shorter = Array(row[..<7] + row[8...])
    #expect(logProbability(row, count: 50, index: 7) == -.infinity)
    let masked = rowStatistics(row, count: 50)
    let without = rowStatistics(shorter, count: 49)
    #expect(abs(masked.entropy - without.entropy) < 1e-6 && abs(masked.logSum - without.logSum) < 1e-6)
    #expect(logProbability([5, -.infinity, -1e30], count: 3, index: 0) == 0)
    #expect(rowEntropy([5, -.infinity, -1e30], count: 3) == 0)
    for place in [0, 3, 16, 40, 49] {
      var spoiled = row
      spoiled[place] = .nan
      let statistics = rowStatistics(spoiled, count: 50)
      #expect(statistics.maximum.isNaN && statistics.logSum.isNaN && statistics.entropy.isNaN)
      #expect(logSumExp(spoiled, count: 50).maximum.isNaN)
    }
  }

  @Test func nothingBehindTheRowIsRead() {
    for count in Self.counts {
      let row = randomFloats(count, 83)
      let padded = row + [Float](repeating: .nan, count: 40)
      #expect(rowStatistics(padded, count: count) == rowStatistics(row, count: count))
    }
  }

  @Test func temperatureDividesTheRowAlone() {
    for count in Self.counts {
      let row = randomFloats(count, 84)
      for temperature: Float in [1, 0.6, 1.7] {
        var divided = row + [canary, canary]
        divideRow(&divided, count: count, by: temperature)
        #expect(bits(Array(divided[..<count])) == bits(row.map { $0 / temperature }))
        #expect(bits(Array(divided[count...])) == bits([canary, canary]))
      }
    }
  }

  /// dLogits with a canary behind, in place or not.
  static func backward(
    _ row: [Float], target: Int, cLogProb: Float, cEntropy: Float, temperature: Float, inPlace: Bool
  ) -> [Float] {
    let count = row.count
    let memory = FloatBuffer(count: 2 * count + 2)
    for index in 0..<count { memory[index] = row[index] }
    let target32 = inPlace ? memory.pointer : memory.pointer + count + 1
    memory[count] = canary
    memory[2 * count + 1] = canary
    logProbBackward(
      target32, logits: memory.pointer, count: count, target: target, statistics: rowStatistics(row, count: count),
      cLogProb: cLogProb, cEntropy: cEntropy, temperature: temperature)
    #expect(memory[count].bitPattern == canary.bitPattern && memory[2 * count + 1].bitPattern == canary.bitPattern)
    return (0..<count).map { target32[$0] }
  }

  @Test func backwardAgreesWithPyTorch() {
    for f in RowFixture.shared.logProb {
      let row = f.logits.map { $0 / f.temperature }
      let statistics = rowStatistics(row, count: row.count)
      #expect(abs(Double(statistics.logProbability(of: row[f.target])) - f.logProb) < 2e-6)
      #expect(abs(Double(statistics.entropy) - f.entropy) < 2e-6)
      for inPlace in [false, true] {
        let dLogits = Self.backward(
          row, target: f.target, cLogProb: f.cLogProb, cEntropy: f.cEntropy, temperature: f.temperature,
          inPlace: inPlace)
        expectClose(dLogits, f.dLogits, 1e-6, "dLogits")
      }
    }
  }

  @Test(arguments: [1, 16, 29]) func backwardAgreesWithFiniteDifferences(count: Int) {
    let logits = randomFloats(count, 85, UInt64(count)).map { $0 * 3 }
    let target = count / 3
    func twin(_ logits: [Double]) -> Double {
      let x = logits.map { $0 / 0.8 }
      let sum = log(x.reduce(0) { $0 + exp($1) })
      return 0.9 * (x[target] - sum) - 0.4 * x.reduce(0) { $0 - exp($1 - sum) * ($1 - sum) }
    }
    let dLogits = Self.backward(
      logits.map { $0 / 0.8 }, target: target, cLogProb: 0.9, cEntropy: -0.4, temperature: 0.8, inPlace: true)
    expectClose(dLogits, numericGradient(doubles(logits), twin), 2e-6, "dLogits")
  }

  @Test func maskedLogitsGetNoGradient() {
    var row = randomFloats(40, 86)
    for masked in [3, 17, 39] { row[masked] = -.infinity }
    for cEntropy: Float in [0, 0.3] {
      let dLogits = Self.backward(row, target: 5, cLogProb: 1, cEntropy: cEntropy, temperature: 1, inPlace: false)
      #expect(dLogits.allSatisfy { $0.isFinite })
      for masked in [3, 17, 39] { #expect(dLogits[masked] == 0) }
      #expect(abs(dLogits.reduce(0, +)) < 1e-6)
      #expect(dLogits[5] > 0)
    }
  }
}
