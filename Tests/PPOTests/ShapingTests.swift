import Foundation
import PPO
import Testing

@Suite struct ShapingTests {
  @Test func theOverlongPenaltyFallsToItsFactor() {
    let penalties = [0, 80, 90, 100, 110].map { overlongPenalty(length: $0, limit: 100, buffer: 20, factor: 2) }
    #expect(penalties == [0, 0, -1, -2, -2])
  }

  @Test func codeThatFailsIsPenalised() {
    #expect(codeReward(failures: [true, true]) == -0.1)
    #expect(codeReward(failures: [true, false]) == 0)
    #expect(codeReward(failures: []) == 0)
    #expect(codeReward(failures: [], withoutCode: true) == -0.1)
  }

  @Test func klInTheReward() {
    let samples = [
      PolicySample(
        group: 0, reward: 1, responseMask: [true, false, true], oldLogProbs: [-1, .nan, -2],
        refLogProbs: [-1.5, .nan, -1],
        tokenRewards: [0.25, 0, 0]),
      PolicySample(group: 0, reward: 0, responseMask: [false], oldLogProbs: [.nan], refLogProbs: [.nan]),
    ]
    let (changed, kl) = KLInReward(KLPenalty(.k1)).apply(samples, coefficient: 0.5)
    // k1 = old - ref: 0.5 and -1.
    #expect(changed[0].tokenRewards == [0, 0, 0.5])
    #expect(changed[0].totalReward == 1.5)
    #expect(changed[0].rewardByToken == [0, 0, 1.5])
    #expect(kl == -0.25)
    #expect(changed[1].tokenRewards == [0])

    var controller = AdaptiveKLController(coefficient: 0.2, target: 0.1, horizon: 100)
    controller.update(kl: 0.11, sequences: 10)
    #expect(abs(controller.coefficient - 0.2 * 1.01) < 1e-15)
    controller.update(kl: 5, sequences: 10)
    #expect(abs(controller.coefficient - 0.2 * 1.01 * 1.02) < 1e-15)
    controller.update(kl: 0, sequences: 10)
    #expect(abs(controller.coefficient - 0.2 * 1.01 * 1.02 * 0.98) < 1e-15)
  }

  @Test func truncatedAnswersLeaveTheLossButNotTheMean() {
    var samples = [1.0, 0, 0].map {
      PolicySample(group: 0, reward: $0, responseMask: [true, true], oldLogProbs: [-1, -1])
    }
    samples[2].leaveLoss()
    let a = CenteredAdvantage().advantages(PolicyBatch(samples)).perToken
    #expect(abs(a[0][0] - 2.0 / 3) < 1e-15 && a[2] == [0, 0])
    #expect(Aggregation.tokenMean.weights(samples) == [0.25, 0.25, 0])
    #expect(Aggregation.seqMeanTokenSum.weights(samples) == [1.0 / 3, 1.0 / 3, 0])
  }

  @Test func advantagesAreClippedOnBothSides() {
    var clipped = Advantages(perToken: [[7, -9, 0.5]])
    clipped.clip(to: 5)
    #expect(clipped.perToken == [[5, -5, 0.5]])
  }

  @Test func settingsKeepTheirNamesAndDefaults() throws {
    func decode(_ keys: String) throws -> LossSettings {
      // A configuration is read over the defaults, which hold every key.
      func object(_ json: Data) throws -> [String: Any] {
        try #require(JSONSerialization.jsonObject(with: json) as? [String: Any])
      }
      var whole = try object(JSONEncoder().encode(LossSettings()))
      whole.merge(try object(Data(keys.utf8))) { $1 }
      return try JSONDecoder().decode(LossSettings.self, from: JSONSerialization.data(withJSONObject: whole))
    }
    let text = """
      {"kind": "gspo_token", "advantage": "reinforce_plus_plus", "advantage_eps": 1e-4, "clip_high": 0.28, "kl": "k3",
       "kl_coef": 0.001, "aggregation": "seq_mean_token_sum_norm", "aggregation_length": 64,
       "gae_observation": "zero", "correction": {"kind": "tis_token", "low": 0.5, "high": 2}}
      """
    let settings = try decode(text)
    #expect(settings.kind == .gspoToken && settings.advantage == .reinforcePlusPlus && settings.clipHigh == 0.28)
    #expect(settings.clipLow == 0.2 && settings.correction == CorrectionSettings(.tisToken))
    #expect(settings.requiresReference && settings.problems.isEmpty)
    let back = try JSONDecoder().decode(LossSettings.self, from: JSONEncoder().encode(settings))
    #expect(back == settings)
    // Every key is written, and every key is read.
    let written = try #require(
      JSONSerialization.jsonObject(with: JSONEncoder().encode(LossSettings())) as? [String: Any])
    #expect(Set(written.keys) == Set(LossSettings.CodingKeys.allCases.map(\.rawValue)))
    var changed = settings
    changed.dualClip = 0.5
    changed.klInReward = true
    changed.kl = .none
    changed.aggregationLength = 0
    #expect(changed.problems.count == 3)
    #expect(throws: DecodingError.self) { try decode(#"{"kind": "grppo"}"#) }
  }

  @Test func everyNameMakesItsLossAndEstimator() {
    var losses: Set<String> = []
    for kind in LossKind.allCases {
      var s = LossSettings()
      s.kind = kind
      let loss = s.makePolicyLoss()
      losses.insert("\(type(of: loss))")
      #expect(loss.requiresSequence == [.gspo, .gspoToken, .gmpo, .vespo].contains(kind), "\(kind)")
      #expect(s.makeObjective().requiresSequence == loss.requiresSequence)
    }
    #expect(losses.count == LossKind.allCases.count - 1)  // grpo and ppo share the clip
    let estimators = Set(
      AdvantageKind.allCases.map { kind -> String in
        var s = LossSettings()
        s.advantage = kind
        return "\(type(of: s.makeAdvantageEstimator()))"
      })
    #expect(estimators.count == AdvantageKind.allCases.count)
  }
}
