import Foundation
import Tensor
import Testing

@Suite struct RotaryTests {
  static let pool = WorkerPool(threadCount: 2)

  /// Rotates by a table whose positions 0..<capacity exist; rows have a gap.
  static func rotated(
    _ x: [Float], heads: Int, positions: [Int32], table: RotaryTable, backward: Bool = false, pool: WorkerPool = pool
  ) -> [Float] {
    lending { lend in
      let y = lend.mutable(x, width: heads * table.headWidth, stride: x.count / positions.count)
      let rotate = backward ? rotaryBackward : applyRotary
      rotate(y, positions, table, pool)
      return lend.contents(y)
    }
  }

  @Test func frequenciesAndTablesAreThoseOfTransformers() {
    for f in RowFixture.shared.rotary {
      let name = f.scaling?.kind.rawValue ?? "default"
      let table = RotaryTable(headWidth: f.headWidth, theta: f.theta, scaling: f.scaling, capacity: 32_768)
      #expect(table.inverseFrequencies.count == f.inverseFrequencies.count)
      var equal = 0
      for (own, bits) in zip(table.inverseFrequencies, f.inverseFrequencies) {
        // Its pow is a vector library's, at times a unit from the rounded value.
        let distance = abs(Int(own.bitPattern) - Int(bits))
        #expect(distance <= 2, "\(name): \(own), transformers \(Float(bitPattern: bits))")
        if distance == 0 { equal += 1 }
      }
      #expect(equal * 10 >= f.inverseFrequencies.count * 7, "\(name): \(equal) of \(f.inverseFrequencies.count) equal")
      // Two units of a frequency turn position p by at most 2^-22 p radians further.
      let half = f.headWidth / 2
      var x = [Float](repeating: 0, count: f.positions.count * f.headWidth)
      for row in f.positions.indices { for i in 0..<half { x[row * f.headWidth + i] = 1 } }
      let y = Self.rotated(x, heads: 1, positions: f.positions, table: table)
      for (row, position) in f.positions.enumerated() {
        for i in 0..<half {
          let same = table.inverseFrequencies[i].bitPattern == f.inverseFrequencies[i]
          let angle = Double(position) * Double(table.inverseFrequencies[i])
          let tolerance = 1.2e-7 * Double(max(1, table.attentionFactor)) + (same ? 0 : angle * 2.4e-7)
          let (cosine, sine) = (Double(y[row * f.headWidth + i]), Double(y[row * f.headWidth + half + i]))
          #expect(abs(cosine - f.cos[row * half + i]) <= tolerance, "\(name): cos, position \(position), pair \(i)")
          #expect(abs(sine - f.sin[row * half + i]) <= tolerance, "\(name): sin, position \(position), pair \(i)")
        }
      }
    }
  }

  @Test(arguments: [2, 6, 16, 20, 64]) func rotatesPairsAndBack(width: Int) {
    let (heads, rows) = (3, 40)
    let stride = heads * width + 2
    let table = RotaryTable(headWidth: width, theta: 10_000, scaling: nil, capacity: 700)
    let positions = (0..<rows).map { Int32($0 * 17) }
    let x = randomFloats(rows * stride, 90)
    let y = Self.rotated(x, heads: heads, positions: positions, table: table)
    #expect(
      bits(y)
        == bits(Self.rotated(x, heads: heads, positions: positions, table: table, pool: WorkerPool(threadCount: 1))))
    for row in 0..<rows {
      for head in 0..<heads {
        for i in 0..<width / 2 {
          let angle = Float(positions[row]) * table.inverseFrequencies[i]
          let (sine, cosine) = Mathematics.sinCos(Double(angle))
          let (c, s) = (Float(cosine), Float(sine))
          let low = row * stride + head * width + i
          let high = low + width / 2
          #expect(y[low] == x[low] * c - x[high] * s)
          #expect(y[high] == x[high] * c + x[low] * s)
        }
      }
      for gap in heads * width..<stride { #expect(y[row * stride + gap] == x[row * stride + gap]) }
    }
    expectClose(
      Self.rotated(y, heads: heads, positions: positions, table: table, backward: true), doubles(x), 5e-7, "back")
  }

  /// The rotation is linear: its backward must be the transpose, <R x, dY> = <x, R' dY>.
  @Test func backwardIsTheTranspose() {
    let table = RotaryTable(
      headWidth: 32, theta: 1e6,
      scaling: RotaryScaling(kind: .yarn, factor: 4, originalContextLength: 64), capacity: 64)
    #expect(table.attentionFactor > 1.1)
    for trial in 0..<5 {
      let (x, dY) = (randomFloats(32, 91, UInt64(trial)), randomFloats(32, 92, UInt64(trial)))
      let position = Int32(trial * 13)
      let y = Self.rotated(x, heads: 1, positions: [position], table: table)
      let dX = Self.rotated(dY, heads: 1, positions: [position], table: table, backward: true)
      #expect(abs(inner(doubles(y), dY) - inner(doubles(x), dX)) < 2e-6)
    }
  }

  @Test func scalingIsReadFromTheKeysOfHuggingFace() throws {
    let json = """
      {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
       "original_max_position_embeddings": 8192}
      """
    let scaling = try JSONDecoder().decode(RotaryScaling.self, from: Data(json.utf8))
    var expected = RotaryScaling(kind: .llama3, factor: 8, originalContextLength: 8192)
    expected.lowFrequencyFactor = 1
    expected.highFrequencyFactor = 4
    #expect(scaling == expected)
    #expect(scaling.defect == nil)
    #expect(RotaryScaling(kind: .llama3, factor: 8, originalContextLength: 8192).defect != nil)
    #expect(RotaryScaling(kind: .yarn, factor: 8).defect != nil)
    #expect(RotaryScaling(kind: .linear, factor: 0).defect != nil)
    let again = try JSONDecoder().decode(RotaryScaling.self, from: JSONEncoder().encode(scaling))
    #expect(again == scaling)
  }
}
