import Rollout
import Support
import Tensor

/// Takes a step's problems from the endless order. Where there is a band, a problem whose success rate was outside when
/// it was last sampled is passed over at four of five places.
struct ProblemDraw {
  /// The share of places at which a problem outside of the band is taken after all: its rate may have changed.
  static let outsideShare = 0.2

  private let problems: [Problem]
  private let order: ProblemOrder
  private let band: ClosedRange<Double>
  private let seed: UInt64
  /// Success rates by problem id, as the steps before have measured them.
  private let rates: [String: Double]
  /// The next place to look at.
  private(set) var place: Int
  /// How many places were passed over.
  private(set) var passedOver = 0

  init(
    _ problems: [Problem], order: ProblemOrder, band: ClosedRange<Double>, seed: UInt64, rates: [String: Double],
    place: Int
  ) {
    (self.problems, self.order, self.band, self.seed) = (problems, order, band, seed)
    (self.rates, self.place) = (rates, place)
  }

  /// The problems of the next places that are not passed over. After as many places as there are problems, passed over
  /// without a break, the next is taken whatever its rate.
  mutating func next(_ count: Int) -> [Problem] {
    var taken: [Problem] = []
    var passed = 0
    while taken.count < count {
      let problem = problems[order.item(at: place)]
      let isPassedOver = passed < problems.count && isOutside(problem) && !isTakenAnyway(place)
      place += 1
      if isPassedOver {
        passed += 1
        passedOver += 1
      } else {
        passed = 0
        taken.append(problem)
      }
    }
    return taken
  }

  private func isOutside(_ problem: Problem) -> Bool { rates[problem.id].map { !band.contains($0) } ?? false }

  private func isTakenAnyway(_ place: Int) -> Bool {
    var random = CounterRandom(seed: seed, path: [stableHash("rate band"), UInt64(place)])
    return random.uniform() < Self.outsideShare
  }
}
