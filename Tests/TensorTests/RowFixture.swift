import Foundation
import Tensor
import Testing

/// Fixtures/row_kernels.json, written by tools/fixtures/row_kernels.py.
struct RowFixture: Decodable {
  struct Norm: Decodable {
    var rows, width: Int
    var epsilon: Float
    var x, weight, dY: [Float]
    var y, dX, dWeight: [Double]
  }
  struct Gated: Decodable {
    var gate, up, dY: [Float]
    var y, dGate, dUp: [Double]
  }
  struct LogProb: Decodable {
    var logits: [Float]
    var temperature: Float
    var target: Int
    var cLogProb, cEntropy: Float
    var logProb, entropy: Double
    var dLogits: [Double]
  }
  struct Attention: Decodable {
    var heads, keyHeads, width: Int
    var lengths: [Int]
    var query, key, value, dOut: [Float]
    var out, dQuery, dKey, dValue: [Double]
  }
  struct Rotary: Decodable {
    var headWidth: Int
    var theta: Double
    var scaling: RotaryScaling?
    var inverseFrequencies: [UInt32]
    var positions: [Int32]
    var cos, sin: [Double]
  }
  var rmsNorm: [Norm]
  var swiGLU: [Gated]
  var logProb: [LogProb]
  var attention: [Attention]
  var rotary: [Rotary]

  static let shared: RowFixture = {
    do {
      let url = try #require(Bundle.module.url(forResource: "Fixtures/row_kernels", withExtension: "json"))
      return try JSONDecoder().decode(RowFixture.self, from: Data(contentsOf: url))
    } catch {
      preconditionFailure("row_kernels.json: \(error)")
    }
  }()
}

/// Every element finite and within `tolerance` of `expected`, relative to its size where that is above 1.
func expectClose(
  _ values: [Float], _ expected: [Double], _ tolerance: Double, _ what: String,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(values.count == expected.count, "\(what): counts", sourceLocation: sourceLocation)
  for (index, (value, want)) in zip(values, expected).enumerated() {
    let close = value.isFinite && abs(Double(value) - want) <= tolerance * max(1, abs(want))
    #expect(close, "\(what)[\(index)]: \(value), expected \(want)", sourceLocation: sourceLocation)
  }
}

/// Central differences of an fp64 function, one element at a time.
func numericGradient(_ x: [Double], step: Double = 1e-5, _ f: ([Double]) -> Double) -> [Double] {
  x.indices.map { index in
    var moved = x
    moved[index] = x[index] + step
    let above = f(moved)
    moved[index] = x[index] - step
    return (above - f(moved)) / (2 * step)
  }
}

/// Sum of a[i] * b[i].
func inner(_ a: [Double], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + $1.0 * Double($1.1) } }

func doubles(_ values: [Float]) -> [Double] { values.map(Double.init) }
