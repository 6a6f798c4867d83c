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

    func lent(_ values: [Float], _ lend: Lender) -> MutableRows {
      lend.mutable(values, width: groups * width, stride: stride)
    }
  }
  static let cases = [
    Case(rows: 1, groups: 1, width: 1), Case(rows: 3, groups: 1, width: 15), Case(rows: 4, groups: 1, width: 16),
    Case(rows: 5, groups: 1, width: 33), Case(rows: 70, groups: 1, width: 256), Case(rows: 9, groups: 3, width: 20),
    Case(rows: 2, groups: 1, width: 896), Case(rows: 300, groups: 2, width: 64),
  ]

  static func forward(_ c: Case, _ x: [Float], _ weight: [Float], pool: WorkerPool) -> (y: [Float], rstd: [Float]) {
    var rstd = [Float](repeating: canary, count: c.rows * c.groups)
    return lending { lend in
      let y = c.lent([Float](repeating: canary, count: c.count), lend)
      rmsNorm(
        y, Rows(c.lent(x, lend)), weight: weight, groups: c.groups, epsilon: 1e-5, rstd: &rstd, pool: pool)
      return (lend.contents(y), rstd)
    }
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
          #expect(rstd[row * c.groups + group] == twin.rstd)
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
      var dWeight = [Float](repeating: 0, count: c.width + 3)
      return lending { lend in
        let dX = c.lent([Float](repeating: 0, count: c.count), lend)
        let (dY, x) = (Rows(c.lent(dY, lend)), Rows(c.lent(x, lend)))
        func cut(_ rows: Rows, _ part: Range<Int>) -> Rows {
          Rows(rows[part.lowerBound], count: part.count, width: rows.width, stride: rows.stride)
        }
        for part in rows {
          rmsNormBackward(
            dX: MutableRows(dX[part.lowerBound], count: part.count, width: dX.width, stride: dX.stride),
            dWeight: &dWeight, dY: cut(dY, part), x: cut(x, part), weight: weight,
            rstd: Array(rstd[(part.lowerBound * c.groups)...]), groups: c.groups, pool: pool)
        }
        #expect(dWeight[c.width...].allSatisfy { $0.bitPattern == 0 })
        return (lend.contents(dX), dWeight)
      }
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
      lending { lend in
        let (x, dY) = (lend.rows(x, width: groups * width), lend.rows(dY, width: groups * width))
        let y = lend.mutable([Float](repeating: 0, count: 21 * width), width: groups * width)
        var rstd = [Float](repeating: 0, count: 21)
        rmsNorm(y, x, weight: weight, groups: groups, epsilon: 1e-5, rstd: &rstd, pool: Self.pools[1])
        let dX = lend.mutable(randomFloats(21 * width, 71), width: groups * width)
        var dWeight = randomFloats(width, 72)
        rmsNormBackward(
          dX: dX, dWeight: &dWeight, dY: dY, x: x, weight: weight, rstd: rstd, groups: groups, pool: Self.pools[1])
        #expect(x.count == rows)
        return [lend.contents(y), rstd, lend.contents(dX), dWeight]
      }
    }
    let found = both(rows: 7, groups: 3)
    #expect(found.joined().allSatisfy { $0.isFinite })
    #expect(found.map(bits) == both(rows: 21, groups: 1).map(bits))
  }

  /// Forward and backward of rows without gaps.
  static func both(
    _ x: [Float], _ weight: [Float], _ dY: [Float], epsilon: Float
  ) -> (y: [Float], dX: [Float], dWeight: [Float]) {
    lending { lend in
      let width = weight.count
      let (x, dY) = (lend.rows(x, width: width), lend.rows(dY, width: width))
      func zeros() -> MutableRows { lend.mutable([Float](repeating: 0, count: x.count * width), width: width) }
      let (y, dX) = (zeros(), zeros())
      var (rstd, dWeight) = ([Float](repeating: 0, count: x.count), [Float](repeating: 0, count: width))
      rmsNorm(y, x, weight: weight, epsilon: epsilon, rstd: &rstd, pool: pools[0])
      rmsNormBackward(dX: dX, dWeight: &dWeight, dY: dY, x: x, weight: weight, rstd: rstd, pool: pools[0])
      return (lend.contents(y), lend.contents(dX), dWeight)
    }
  }

  @Test func agreesWithPyTorch() {
    for f in RowFixture.shared.rmsNorm {
      let found = Self.both(f.x, f.weight, f.dY, epsilon: f.epsilon)
      expectClose(found.y, f.y, 5e-7, "y")
      expectClose(found.dX, f.dX, 1e-6, "dX")
      expectClose(found.dWeight, f.dWeight, 1e-6, "dWeight")
    }
  }

  @Test func agreesWithFiniteDifferences() {
    let width = 19
    let (x, weight, dY) = (randomFloats(width, 65), randomFloats(width, 66), randomFloats(width, 67))
    func twin(_ x: [Double], _ weight: [Double]) -> Double {
      let r = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(width) + 1e-5).squareRoot()
      return inner(zip(x, weight).map { $0 * r * $1 }, dY)
    }
    let (_, dX, dWeight) = Self.both(x, weight, dY, epsilon: 1e-5)
    expectClose(dX, numericGradient(doubles(x)) { twin($0, doubles(weight)) }, 1e-6, "dX")
    expectClose(dWeight, numericGradient(doubles(weight)) { twin(doubles(x), $0) }, 1e-6, "dWeight")
  }
}
