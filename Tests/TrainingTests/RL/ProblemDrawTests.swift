import Rollout
import Support
import Testing

@testable import Training

/// Which problems a step takes: files by weight, and few of those that are always or never solved.
@Suite struct ProblemDrawTests {
  private static let problems = (0..<6).map { Problem(id: "p\($0)", problem: "", gold: "") }

  private func draw(
    _ rates: [String: Double], band: ClosedRange<Double> = 0.1...0.9, from place: Int = 0, seed: UInt64 = 3
  ) -> ProblemDraw {
    ProblemDraw(
      Self.problems, order: ProblemOrder(files: [0, 0, 0, 0, 0, 0], weights: [], seed: seed), band: band, seed: seed,
      rates: rates, place: place)
  }

  @Test func withoutWeightsItIsTheOrderOfAllData() {
    let order = ProblemOrder(files: [0, 0, 1, 1, 1], weights: [], seed: 7)
    #expect((0..<23).map(order.item) == DataOrder(count: 5, seed: 7).items(from: 0, count: 23))
    #expect(order.item(at: 2) == DataOrder(count: 5, seed: 7).items(from: 2, count: 1)[0])
  }

  /// Two files of two and three problems, weights 3 and 1: by hand, the places go a a b a, a a b a, ...
  @Test func aPlaceBelongsToTheFileThatIsBehind() {
    let order = ProblemOrder(files: [0, 0, 1, 1, 1], weights: [3, 1], seed: 7)
    // Each problem once, in the order of their first places.
    let once = order.first(9)
    #expect(once.count == 5 && Set(once) == [0, 1, 2, 3, 4])
    #expect(once[..<2] == [order.item(at: 0), order.item(at: 1)][...])
    let items = (0..<48).map(order.item)
    #expect(items.map { $0 < 2 ? "a" : "b" }.joined() == String(repeating: "aaba", count: 12))
    // Each file's own epochs: every problem of it once.
    for (file, size) in [(0, 2), (1, 3)] {
      let own = items.filter { ($0 < 2) == (file == 0) }
      let epochs = stride(from: 0, to: own.count, by: size).map { own[$0..<$0 + size].sorted() }
      #expect(Set(epochs) == [file == 0 ? [0, 1] : [2, 3, 4]])
      #expect(Set(stride(from: 0, to: own.count, by: size).map { Array(own[$0..<$0 + size]) }).count > 1)
    }
    // Asked in any order, the same.
    #expect([40, 3, 47, 0].map(order.item) == [40, 3, 47, 0].map { items[$0] })
    let thirds = ProblemOrder(files: [0, 1, 2], weights: [1, 1, 1], seed: 7)
    #expect((0..<6).map(thirds.item) == [0, 1, 2, 0, 1, 2])
  }

  @Test func whatIsOutsideOfTheBandComesSeldom() {
    // p0 is never solved, p1 always; p2 and p3 stand on the borders, p4 and p5 were never sampled.
    var draw = draw(["p0": 0, "p1": 1, "p2": 0.1, "p3": 0.9])
    let taken = Dictionary(grouping: draw.next(4000), by: \.id).mapValues(\.count)
    let inside = ["p2", "p3", "p4", "p5"].map { taken[$0] ?? 0 }
    #expect((inside.max() ?? 0) - (inside.min() ?? 0) <= 1)
    for id in ["p0", "p1"] {
      let share = Double(taken[id] ?? 0) / Double(inside[0])
      #expect((0.15...0.25).contains(share), "\(id): \(share)")
    }
    #expect(draw.place == 4000 + draw.passedOver)
  }

  /// A step that begins where another ended takes what one step would have taken.
  @Test func whatIsTakenDependsOnThePlace() {
    let rates = ["p0": 0.0, "p1": 1, "p4": 0]
    var whole = draw(rates)
    let all = whole.next(40).map(\.id)
    var first = draw(rates)
    let one = first.next(15).map(\.id)
    var second = draw(rates, from: first.place)
    #expect(one + second.next(25).map(\.id) == all && second.place == whole.place)
    var other = draw(rates, seed: 4)
    #expect(other.next(40).map(\.id) != all)
    // Without a band nothing is passed over.
    var plain = draw(rates, band: 0...1)
    #expect(plain.next(40).map(\.id) == DataOrder(count: 6, seed: 3).items(from: 0, count: 40).map { "p\($0)" })
    #expect(plain.passedOver == 0 && plain.place == 40)
  }

  /// All are outside: a step still gets its problems, after at most as many places as there are.
  @Test func thereAreAlwaysProblems() {
    let rates = Dictionary(uniqueKeysWithValues: Self.problems.map { ($0.id, 0.0) })
    var draw = draw(rates)
    #expect(draw.next(300).count == 300)
    #expect((1000...2100).contains(draw.place), "\(draw.place)")
  }
}
