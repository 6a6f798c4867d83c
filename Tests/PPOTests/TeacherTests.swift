import Foundation
import PPO
import Testing

/// On-policy distillation against PyTorch: Tests/PPOTests/Fixtures/teacher.json, made by tools/fixtures/teacher.py.
@Suite struct TeacherTests {
  private struct TeacherFixture: Decodable {
    struct Case: Decodable {
      let coefficient, cap: Double
      let weights, alone, with_grpo: [[Double]]
    }
    let mask: [[Bool]]
    let groups: [Int]
    let rewards: [Double]
    let old, teacher: [[Double]]
    let cases: [Case]
  }
  private let fixture: TeacherFixture

  init() throws {
    let url = try #require(Bundle.module.url(forResource: "Fixtures/teacher", withExtension: "json"))
    fixture = try JSONDecoder().decode(TeacherFixture.self, from: Data(contentsOf: url))
  }

  /// The fixture's samples; numbers of tokens that the policy did not draw are NaN.
  private func samples(taught: Bool = true) -> [PolicySample] {
    func hidden(_ values: [Double], _ mask: [Bool]) -> [Float] { zip(values, mask).map { $1 ? Float($0) : .nan } }
    return fixture.mask.indices.map { i in
      var sample = PolicySample(
        group: fixture.groups[i], reward: fixture.rewards[i], responseMask: fixture.mask[i],
        oldLogProbs: hidden(fixture.old[i], fixture.mask[i]))
      if taught { sample.teacherLogProbs = hidden(fixture.teacher[i], fixture.mask[i]) }
      return sample
    }
  }

  private func settings(_ c: TeacherFixture.Case, _ advantage: AdvantageKind) -> LossSettings {
    var settings = LossSettings()
    (settings.advantage, settings.teacherCoef, settings.teacherTurnCap) = (advantage, c.coefficient, c.cap)
    return settings
  }

  @Test func theTermAndItsWeightsMatchTheReference() {
    #expect(fixture.cases.count == 3)
    for c in fixture.cases {
      let (batch, what) = (PolicyBatch(samples()), "c \(c.coefficient), cap \(c.cap)")
      expectClose(batch.samples.map { settings(c, .grpo).teacherTerm.weights($0) }, c.weights, what + " weights")
      expectClose(settings(c, .distillation).advantages(batch).perToken, c.alone, what)
      expectClose(settings(c, .grpo).advantages(batch).perToken, c.with_grpo, what + " with grpo")
    }
  }

  @Test func theTermIsOfTheDrawnTokenAlone() {
    var settings = LossSettings()
    settings.advantage = .distillation
    let batch = PolicyBatch(samples())
    #expect(settings.advantages(batch).perToken.joined().contains { $0 != 0 })
    // A KL over more tokens is a loss of its own.
    settings.teacherTopK = 8
    #expect(settings.advantages(batch).perToken.joined().allSatisfy { $0 == 0 })
    // Without a teacher there is no such term.
    settings = LossSettings()
    let bare = PolicyBatch(samples(taught: false))
    #expect(settings.advantages(bare).perToken == GRPOAdvantage().advantages(bare).perToken)
    #expect(settings.teacherTerm.weights(bare.samples[0]).allSatisfy { $0 == 0 })
    // The clip holds for the sum.
    settings.advantageClip = 0.5
    #expect(settings.advantages(batch).perToken.joined().allSatisfy { abs($0) <= 0.5 })
  }

  /// Nothing scored it, but its teacher can tell.
  @Test func aSampleWithoutARewardIsTaught() {
    var sample = PolicySample(
      group: 0, reward: .nan, responseMask: [true, false, true], oldLogProbs: [-1, .nan, -0.5])
    sample.teacherLogProbs = [-0.25, .nan, -2]
    #expect(LossSettings().advantages(PolicyBatch([sample])).perToken == [[0.75, 0, -1.5]])
    sample.leaveLoss()
    #expect(LossSettings().advantages(PolicyBatch([sample])).perToken == [[0, 0, 0]])
  }
}
