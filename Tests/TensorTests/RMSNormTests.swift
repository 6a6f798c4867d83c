import Foundation
import Tensor
import Testing

@Suite struct RMSNormTests {
  static let pools = [1, 2, 3].map { WorkerPool(threadCount: $0) }

  struct Case: CustomTestStringConvertible, Sendable {
    var rows, groups, width: Int
    var testDescription: String { "\(rows) rows of \(groups) x \(width)" }
    var stride: Int { groups * width + 4 }
    var count: Int { rows * stride }
  }
  static let cases = [
    Case(rows: 1, groups: 1, width: 1), Case(rows: 3, groups: 1, width: 15), Case(rows: 4, groups: 1, width: 16),
    Case(rows: 5, groups: 1, width: 33), Case(rows: 70, groups: 1, width: 256), Case(rows: 9, groups: 3, width: 20),
    Case(rows: 2, groups: 1, width: 896), Case(rows: 300, groups: 2, width: 64),
  ]

  static func forward(_ c: Case, _ x: [Float], _ weight: [Float], pool: WorkerPool) -> (y: [Float], rstd: [Float]) {
    var y = [Float](repeating: canary, count: c.count)
    var rstd = [Float](repeating: canary, count: c.rows * c.groups)
    rmsNorm(
      &y, yStride: c.stride, x: x, xStride: c.stride, weight: weight, rows: c.rows, groups: c.groups, width: c.width,
      epsilon: 1e-5, rstd: &rstd, pool: pool)
    return (y, rstd)
  }

  @Test(arguments: cases) func equalsTheTwinWhateverTheThreads(c: Case) {
    let x = randomFloats(c.count, 60).map { $0 * 5 }
    let weight = randomFloats(c.width, 61)
    for pool in Self.pools {
      let (y, rstd) = Self.forward(c, x, weight, pool: pool)
      for row in 0..<c.rows {
        for group in 0..<c.groups {
          let start = row * c.stride + group * c.width
          let twin = scalarRMSNorm(Array(x[start..<start + c.width]), weight: weight, epsilon: 1e-5)
          #expect(bits(Array(y[start..<start + c.width])) == bits(twin.y), "row \(row)")
          #expect(rstd[row * c.groups + group] == twin.reciprocal)
        }
        let gap = y[row * c.stride + c.groups * c.width..<(row + 1) * c.stride]
        #expect(gap.allSatisfy { $0.bitPattern == canary.bitPattern })
      }
    }
  }

  @Test(arguments: cases) func backwardIsTheSameForAllThreadsAndAddsUp(c: Case) {
    let (x, dY) = (randomFloats(c.count, 62), randomFloats(c.count, 63))
    let weight = randomFloats(c.width, 64)
    let rstd = Self.forward(c, x, weight, pool: Self.pools[0]).rstd
    func backward(_ rows: [Range<Int>], pool: WorkerPool) -> (dX: [Float], dWeight: [Float]) {
      var dX = [Float](repeating: 0, count: c.count)
      var dWeight = [Float](repeating: 0, count: c.width + 3)
      for part in rows {
        let start = part.lowerBound * c.stride
        dX.withUnsafeMutableBufferPointer { dX in
          rmsNormBackward(
            dX: dX.baseAddress! + start, dXStride: c.stride, dWeight: &dWeight, dY: Array(dY[start...]),
            dYStride: c.stride, x: Array(x[start...]), xStride: c.stride, weight: weight,
            rstd: Array(rstd[(part.lowerBound * c.groups)...]), rows: part.count, groups: c.groups, width: c.width,
            pool: pool)
        }
      }
      #expect(dWeight[c.width...].allSatisfy { $0.bitPattern == 0 })
      return (dX, dWeight)
    }
    let whole = backward([0..<c.rows], pool: Self.pools[0])
    for pool in Self.pools {
      let again = backward([0..<c.rows], pool: pool)
      #expect(bits(again.dX) == bits(whole.dX) && bits(again.dWeight) == bits(whole.dWeight))
      // Micro-batches: the chain over rows goes on.
      let cut = backward([0..<c.rows / 3, c.rows / 3..<c.rows], pool: pool)
      #expect(bits(cut.dX) == bits(whole.dX) && bits(cut.dWeight) == bits(whole.dWeight))
    }
    let twice = backward([0..<c.rows, 0..<c.rows], pool: Self.pools[1])
    expectClose(twice.dX, whole.dX.map { Double($0) * 2 }, 1e-6, "dX")
    expectClose(twice.dWeight, whole.dWeight.map { Double($0) * 2 }, 2e-5, "dWeight")
  }

  /// A head's run is a row of its own, forward and backward.
  @Test func groupsAreRows() {
    let width = 20
    let (x, dY) = (randomFloats(21 * width, 68), randomFloats(21 * width, 69))
    let weight = randomFloats(width, 70)
    func both(rows: Int, groups: Int) -> [[Float]] {
      let stride = groups * width
      var y = [Float](repeating: 0, count: x.count)
      var rstd = [Float](repeating: 0, count: 21)
      rmsNorm(
        &y, yStride: stride, x: x, xStride: stride, weight: weight, rows: rows, groups: groups, width: width,
        epsilon: 1e-5, rstd: &rstd, pool: Self.pools[1])
      var (dX, dWeight) = (randomFloats(x.count, 71), randomFloats(width, 72))
      rmsNormBackward(
        dX: &dX, dXStride: stride, dWeight: &dWeight, dY: dY, dYStride: stride, x: x, xStride: stride, weight: weight,
        rstd: rstd, rows: rows, groups: groups, width: width, pool: Self.pools[1])
      return [y, rstd, dX, dWeight]
    }
    let found = both(rows: 7, groups: 3)
    #expect(found.joined().allSatisfy { $0.isFinite })
    #expect(found.map(bits) == both(rows: 21, groups: 1).map(bits))
  }

  @Test func agreesWithPyTorch() {
    for f in RowFixture.shared.rmsNorm {
      var y = [Float](repeating: 0, count: f.x.count)
      var rstd = [Float](repeating: 0, count: f.rows)
      rmsNorm(
        &y, yStride: f.width, x: f.x, xStride: f.width, weight: f.weight, rows: f.rows, width: f.width,
        epsilon: f.epsilon, rstd: &rstd, pool: Self.pools[0])
      var dX = [Float](repeating: 0, count: f.x.count)
      var dWeight = [Float](repeating: 0, count: f.width)
      rmsNormBackward(
        dX: &dX, dXStride: f.width, dWeight: &dWeight, dY: f.dY, dYStride: f.width, x: f.x, xStride: f.width,
        weight: f.weight, rstd: rstd, rows: f.rows, width: f.width, pool: Self.pools[0])
      expectClose(y, f.y, 5e-7, "y")
      expectClose(dX, f.dX, 1e-6, "dX")
      expectClose(dWeight, f.dWeight, 1e-6, "dWeight")
    }
  }

  @Test func agreesWithFiniteDifferences() {
    let width = 19
    let (x, weight, dY) = (randomFloats(width, 65), randomFloats(width, 66), randomFloats(width, 67))
    func twin(_ x: [Double], _ weight: [Double]) -> Double {
      let r = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(width) + 1e-5).squareRoot()
      return inner(zip(x, weight).map { $0 * r * $1 }, dY)
    }
    var (y, rstd) = ([Float](repeating: 0, count: width), [Float](repeating: 0, count: 1))
    rmsNorm(
      &y, yStride: width, x: x, xStride: width, weight: weight, rows: 1, width: width, epsilon: 1e-5, rstd: &rstd,
      pool: Self.pools[0])
    var dX = [Float](repeating: 0, count: width)
    var dWeight = dX
    rmsNormBackward(
      dX: &dX, dXStride: width, dWeight: &dWeight, dY: dY, dYStride: width, x: x, xStride: width, weight: weight,
      rstd: rstd, rows: 1, width: width, pool: Self.pools[0])
    expectClose(dX, numericGradient(doubles(x)) { twin($0, doubles(weight)) }, 1e-6, "dX")
    expectClose(dWeight, numericGradient(doubles(weight)) { twin(doubles(x), $0) }, 1e-6, "dWeight")
  }
}
