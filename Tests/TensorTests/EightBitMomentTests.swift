import Support
import Tensor
import Testing

@testable import KernelsPortable

@Suite struct EightBitMomentTests {
  /// What code `code` of `levels` stands for, for a scale of 1.
  private static func value(_ code: Int, _ levels: Double) -> Double {
    let root = Double(code) / levels
    return root * root * root * root
  }

  private static func codes(
    _ values: [Float], isSigned: Bool, scale: Float, seed: UInt64 = 1, index: Int = 0
  ) -> [UInt32] {
    let code = MomentCode(isSigned: isSigned)
    return stride(from: 0, to: values.count, by: 8).flatMap { start in
      let chances = RoundingChances(seed: RoundingChances.seed(step: Int(seed)), index: index + start)
      let eight = SIMD8<Float>(values[start..<start + 8])
      let found = code.encoded(eight, scale: scale, chances: isSigned ? chances.first : chances.second)
      return (0..<8).map { found[$0] }
    }
  }

  @Test(arguments: [true, false]) func everyCodeStandsForItself(isSigned: Bool) {
    let code = MomentCode(isSigned: isSigned)
    for scale in [Float(1), 3.7e-9, 1e30] {
      // Codes are 0...127 with a sign, or 0...255.
      for start in stride(from: 0, to: 256, by: 8) {
        let codes = SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7) &+ UInt32(start)
        let values = code.decoded(codes)
        for lane in 0..<8 {
          let number = start + lane
          let wanted = isSigned ? Self.value(number & 127, 127) * (number > 127 ? -1 : 1) : Self.value(number, 255)
          #expect(abs(Double(values[lane]) - wanted) <= 5e-7 * abs(wanted))
        }
        // A number that a code stands for may be rounded to one below or above by its last bit alone, never further.
        let again = Self.codes((0..<8).map { values[$0] * scale }, isSigned: isSigned, scale: scale)
        for lane in 0..<8 {
          #expect(abs(Int(again[lane]) - Int(codes[lane])) <= 1, "\(scale): \(codes[lane]) came back as \(again[lane])")
        }
      }
    }
    let largest = Self.codes([Float](repeating: 0.3, count: 8), isSigned: isSigned, scale: 0.3)
    #expect(largest == [UInt32](repeating: isSigned ? 127 : 255, count: 8))
  }

  /// Between the two codes around it, hence off by less than the gap there; the sign is kept, and 0 is 0.
  @Test(arguments: [true, false]) func aNumberBecomesANeighbour(isSigned: Bool) {
    let levels = isSigned ? 127.0 : 255.0
    var random = CounterRandom(seed: 3, path: [1])
    let values = (0..<8000).map { index -> Float in
      if index % 100 == 7 { return 0 }
      let size = Float(random.normal() * Mathematics.power(0.1, Int(random.next() % 10)))
      return isSigned ? size : size.magnitude
    }
    let scale = values.map(\.magnitude).max() ?? 1
    let codes = Self.codes(values, isSigned: isSigned, scale: scale)
    var (ups, inside) = (0, 0)
    for (value, code) in zip(values, codes) {
      let share = Double(value.magnitude) / Double(scale)
      let magnitude = isSigned ? Int(code & 127) : Int(code)
      #expect(isSigned ? (value == 0 || (code > 127) == (value < 0)) : true)
      #expect((value == 0) ? magnitude == 0 : (isSigned || magnitude > 0))
      let place = share.squareRoot().squareRoot() * levels
      let isNeighbour = magnitude == Int(place) || magnitude == Int(place) + 1 || abs(place - Double(magnitude)) < 1e-3
      #expect(isNeighbour, "\(share) became \(magnitude) of \(levels)")
      if place - place.rounded(.down) > 0.3, place - place.rounded(.down) < 0.7 {
        inside += 1
        ups += magnitude > Int(place) ? 1 : 0
      }
    }
    #expect(inside > 1000 && ups > inside / 4 && ups < inside * 3 / 4)
  }

  /// Over many steps the mean of what a number becomes is the number.
  @Test(arguments: [true, false]) func roundingHasNoBias(isSigned: Bool) {
    let code = MomentCode(isSigned: isSigned)
    let levels = isSigned ? 127.0 : 255.0
    let values: [Float] = [0.9931, 0.5, 0.1234, 0.031, 0.0077, 0.0011, 3e-4, 2e-5]
    var sums = [Double](repeating: 0, count: 8)
    let trials = 20_000
    for trial in 0..<trials {
      let found = Self.codes(values, isSigned: isSigned, scale: 1, seed: UInt64(trial + 1), index: 4096)
      let decoded = code.decoded(SIMD8(found))
      for lane in 0..<8 { sums[lane] += Double(decoded[lane]) }
    }
    for (value, sum) in zip(values, sums) {
      let low = Int(Double(value).squareRoot().squareRoot() * levels)
      let gap = Self.value(low + 1, levels) - Self.value(low, levels)
      let share = (Double(value) - Self.value(low, levels)) / gap
      // Four standard deviations of the mean, and what 16 bits of chance cannot tell apart.
      let bound = gap * (4 * (share * (1 - share) / Double(trials)).squareRoot() + 1.0 / 32_768)
      #expect(abs(sum / Double(trials) - Double(value)) < bound, "\(value): \(sum / Double(trials))")
    }
  }

  /// The update's own formulas in fp64 from the state that was there: weights and scales to rounding, codes to a
  /// neighbour, and that only where fp32 falls on the other side of a chance.
  @Test func anUpdateIsItsFormulaAtAnyThreadCount() throws {
    let count = 65_536 * 2 + 77
    let settings = OptimizerSettings(
      learningRate: 0.01, betas: [0.9, 0.99], weightDecay: 0.1, maxGradNorm: 2, state: .eightBit)
    let start = randomFloats(count, 41)
    let decayed = [3..<500, 65_000..<66_000, 70_000..<70_001, 131_072..<count]
    var results: [[[UInt32]]] = []
    for threads in [1, 2, 3, 8] {
      let weights = OptimizerTests.buffer(start)
      let optimizer = Optimizer(settings: settings, parameterCount: count, decayed: decayed)
      let (first, second) = try #require(optimizer.quantized)
      #expect(optimizer.firstMoment == nil && optimizer.secondMoment == nil)
      let pool = WorkerPool(threadCount: threads)
      for step in 1...3 {
        let gradient = randomFloats(count, 42, UInt64(step)).enumerated().map { $0 % 5 == 0 ? $1 * 1e-4 : $1 }
        let before = threads == 1 ? (0..<count).map { (weights[$0], first[$0], second[$0]) } : []
        _ = try optimizer.update(
          weights: weights, gradients: OptimizerTests.buffer(gradient), totalSteps: 3, pool: pool)
        guard threads == 1 else { continue }
        let isRight = Self.isUpdate(
          from: before, gradient, decayed: decayed, step: step, to: weights, first, second)
        #expect(isRight)
      }
      results.append(([weights] + optimizer.stateBuffers).map { bits(OptimizerTests.array($0)) })
    }
    for index in 1..<results.count {
      let isEqual = results[index] == results[0]
      #expect(isEqual)
    }
    #expect(results[0].count == 5)
  }

  private static func isUpdate(
    from before: [(weight: Float, first: Float, second: Float)], _ gradient: [Float], decayed: [Range<Int>], step: Int,
    to weights: FloatBuffer, _ first: QuantizedMoment, _ second: QuantizedMoment
  ) -> Bool {
    let norm = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
    let (b1, b2) = (Mathematics.power(0.9, step), Mathematics.power(0.99, step))
    var moments: [(m: Double, v: Double)] = []
    for (index, old) in before.enumerated() {
      let g = Double(gradient[index]) * 2 / (norm + 1e-6)
      let m = 0.9 * Double(old.first) + 0.1 * g
      let v = 0.99 * Double(old.second) + 0.01 * g * g
      moments.append((m, v))
      let kept = decayed.contains { $0.contains(index) } ? 1 - 0.01 * 0.1 : 1
      let w = Double(old.weight) * kept - 0.01 * (m / (1 - b1)) / ((v / (1 - b2)).squareRoot() + 1e-8)
      guard abs(Double(weights[index]) - w) < 1e-6 else { return false }
    }
    var flips = 0
    for block in stride(from: 0, to: before.count, by: 256) {
      let range = block..<min(block + 256, before.count)
      for (moment, levels, part) in [(first, 127.0, 0), (second, 255.0, 1)] {
        let numbers = range.map { part == 0 ? moments[$0].m : moments[$0].v }
        let scale = numbers.map(\.magnitude).max() ?? 0
        guard abs(Double(moment.scales[block / 256]) - scale) <= 1e-5 * scale else { return false }
        for (offset, number) in numbers.enumerated() {
          let index = block + offset
          let eight = index / 8 * 8
          let chances = RoundingChances(seed: RoundingChances.seed(step: step), index: eight)
          let chance = Double((part == 0 ? chances.first : chances.second)[index - eight])
          let share = number.magnitude / scale
          let low = min(Int(share.squareRoot().squareRoot() * levels), Int(levels) - 1)
          let isUp = chance * (value(low + 1, levels) - value(low, levels)) < share - value(low, levels)
          let wanted = part == 1 ? max(1, low + (isUp ? 1 : 0)) : low + (isUp ? 1 : 0)
          let code = Int(moment.bytes[index])
          let found = part == 0 ? code & 127 : code
          guard abs(found - wanted) <= 1, part == 1 || found == 0 || (code > 127) == (number < 0) else { return false }
          flips += found == wanted ? 0 : 1
        }
      }
    }
    return flips < before.count / 200
  }

  /// From moments of 0 the first step needs no code: it is that of full precision, bit for bit, however small the
  /// gradient.
  @Test func theFirstStepIsThatOfFullPrecision() throws {
    var gradient = randomFloats(1000, 5)
    gradient.replaceSubrange(0..<300, with: [Float](repeating: 0, count: 300))
    for index in 300..<700 { gradient[index] *= 1e-38 }
    let start = randomFloats(1000, 6)
    var results: [[UInt32]] = []
    for state in OptimizerState.allCases {
      let weights = OptimizerTests.buffer(start)
      let optimizer = Optimizer(
        settings: OptimizerSettings(learningRate: 0.1, weightDecay: 0.1, maxGradNorm: 0, state: state),
        parameterCount: 1000)
      let pool = WorkerPool(threadCount: 2)
      _ = try optimizer.update(
        weights: weights, gradients: OptimizerTests.buffer(gradient), totalSteps: 9, pool: pool)
      results.append(bits(OptimizerTests.array(weights)))
      guard let (first, second) = optimizer.quantized else { continue }
      #expect((0..<256).allSatisfy { first.bytes[$0] & 127 == 0 && second.bytes[$0] == 0 })
      #expect(first.scales[0] == 0 && first.scales[2] > 0 && first.scales[3] > 0)
      for _ in 0..<3 {
        _ = try optimizer.update(
          weights: weights, gradients: OptimizerTests.buffer(gradient), totalSteps: 9, pool: pool)
      }
      let isFinite = (0..<1000).allSatisfy { weights[$0].isFinite && first[$0].isFinite && second[$0].isFinite }
      #expect(isFinite)
      for index in 0..<256 {
        var weight = start[index]
        for _ in 0..<4 { weight *= Float(1 - 0.1 * 0.1) }
        #expect(weights[index] == weight)
      }
    }
    let isEqual = results[0] == results[1]
    #expect(isEqual)
  }

  /// Without a limit on the norm a square may overflow; what is left is a number.
  @Test func aSquareThatOverflowsIsHeldAtTheLargestNumber() throws {
    let optimizer = Optimizer(
      settings: OptimizerSettings(learningRate: 0.1, maxGradNorm: 0, state: .eightBit), parameterCount: 8)
    let weights = OptimizerTests.buffer([Float](repeating: 1, count: 8))
    let pool = WorkerPool(threadCount: 1)
    for _ in 0..<2 {
      _ = try optimizer.update(
        weights: weights, gradients: OptimizerTests.buffer([1e30, 1, 0, -1e25, 2, 2, 2, 2]), totalSteps: 9, pool: pool)
    }
    let isFinite = OptimizerTests.array(weights).allSatisfy { $0.isFinite }
    #expect(isFinite)
    #expect(weights[2] == 1)
  }

  @Test func aBadNormLeavesTheCodesAsTheyWere() throws {
    for bad in [Float.nan, .infinity] {
      let weights = OptimizerTests.buffer([1, 2, 3])
      let optimizer = Optimizer(settings: OptimizerSettings(state: .eightBit), parameterCount: 3)
      let pool = WorkerPool(threadCount: 1)
      _ = try optimizer.update(
        weights: weights, gradients: OptimizerTests.buffer([1, 2, 3]), totalSteps: 2, pool: pool)
      let before = ([weights] + optimizer.stateBuffers).map { bits(OptimizerTests.array($0)) }
      #expect(throws: MartletError.self) {
        try optimizer.update(
          weights: weights, gradients: OptimizerTests.buffer([0, bad, 1]), totalSteps: 2, pool: pool)
      }
      #expect(optimizer.step == 1)
      #expect(([weights] + optimizer.stateBuffers).map { bits(OptimizerTests.array($0)) } == before)
    }
  }

  /// A second moment whose gradients have become small goes down with them, though each step changes it by less than a
  /// code: rounding to the nearest would leave it where it was.
  @Test func anAverageFollowsGradientsThatBecomeSmall() throws {
    let count = 4096
    let optimizer = Optimizer(
      settings: OptimizerSettings(learningRate: 0, maxGradNorm: 0, state: .eightBit), parameterCount: count)
    let second = try #require(optimizer.quantized).second
    let weights = FloatBuffer(count: count)
    let pool = WorkerPool(threadCount: 2)
    var exact = [Double](repeating: 0, count: count)
    for step in 0..<2000 {
      let gradient = (0..<count).map { step < 500 || $0 % 16 == 0 ? Float(1) : 0.1 }
      _ = try optimizer.update(
        weights: weights, gradients: OptimizerTests.buffer(gradient), totalSteps: 9, pool: pool)
      for index in 0..<count { exact[index] = 0.999 * exact[index] + 0.001 * Double(gradient[index] * gradient[index]) }
    }
    let small = (0..<count).filter { $0 % 16 != 0 }
    let found = small.reduce(0.0) { $0 + Double(second[$1]) } / Double(small.count)
    #expect(abs(found / exact[1] - 1) < 0.02, "\(found) for \(exact[1])")
    #expect(abs(Double(second[0]) / exact[0] - 1) < 1e-3)
  }

  @Test func aByteANumberAndAScaleABlock() {
    let moment = QuantizedMoment(count: 1000, isSigned: true)
    #expect(moment.bytes.count == 1024 && moment.scales.count == 4)
    #expect(QuantizedMoment.byteCount(1000) == 1024 + 16)
    #expect(Optimizer.stateBytes(OptimizerSettings(state: .eightBit), parameterCount: 1000) == 2 * 1040)
    #expect(Optimizer.stateBytes(OptimizerSettings(), parameterCount: 1000) == 8000)
    #expect(Optimizer.stateBytes(OptimizerSettings(kind: .sgd), parameterCount: 1000) == 0)
  }
}
