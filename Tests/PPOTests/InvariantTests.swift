import PPO
import Testing

/// Laws that need no fixture.
@Suite struct InvariantTests {
  private let allLosses: [any PolicyLoss] = [
    SFTLoss(), ClipLoss(low: 0.2, high: 0.28), ClipLoss(dual: 3), ReinforceLoss(), DROLoss(beta: 0.3),
    CISPOLoss(.cap(5)), CISPOLoss(.clamp(low: 1, high: 0.28)), SAPOLoss(), DPPOLoss(), GSPOLoss(low: 0.1, high: 0.1),
    GSPOTokenLoss(low: 0.1, high: 0.1), GMPOLoss(), VESPOLoss(),
  ]

  /// A small generator of its own: the tests' numbers, not the program's.
  private struct Numbers {
    var state: UInt64
    mutating func next(_ low: Double, _ high: Double) -> Double {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return low + (high - low) * Double(state >> 11) / Double(1 << 53)
    }
  }

  private func batch(_ seed: UInt64) -> [PolicySample] {
    var numbers = Numbers(state: seed)
    return [0, 1, 1, 2, 2, 2, 2].map { group -> PolicySample in
      let mask = (0..<9).map { _ in numbers.next(0, 1) < 0.7 }
      func floats(_ low: Double, _ high: Double) -> [Float] { mask.map { _ in Float(numbers.next(low, high)) } }
      var sample = PolicySample(
        group: group, reward: numbers.next(-1, 1), responseMask: mask, oldLogProbs: floats(-3, -0.1),
        refLogProbs: floats(-3, -0.1), samplerLogProbs: floats(-3, -0.1), values: floats(-1, 1),
        tokenRewards: mask.map { _ in numbers.next(-0.1, 0.1) })
      sample.greedyReward = Double(group) / 4
      return sample
    }
  }

  private func settings(_ advantage: AdvantageKind) -> LossSettings {
    var s = LossSettings()
    s.advantage = advantage
    s.gamma = 0.97
    s.gaeLambda = 0.9
    return s
  }

  /// Losses whose value is differentiable where it is not clipped: the coefficient is the slope of the weighted sum.
  @Test func coefficientsAreSlopes() {
    var numbers = Numbers(state: 3)
    var checked = 0
    let smooth: [any PolicyLoss] = [
      SFTLoss(), ClipLoss(low: 0.2, high: 0.28), ClipLoss(low: 0.2, high: 0.28, dual: 3, differenceClamp: 20),
      ReinforceLoss(), DROLoss(beta: 0.3), SAPOLoss(), DPPOLoss(), GSPOLoss(low: 0.1, high: 0.1), GMPOLoss(),
    ]
    for _ in 0..<200 {
      let mask = (0..<5).map { _ in numbers.next(0, 1) < 0.7 }
      let old = mask.map { _ in numbers.next(-4, -0.1) }
      let now = old.map { $0 + numbers.next(-1.5, 1.5) }
      let a = numbers.next(-2, 2)
      let advantages = mask.map { _ in a }
      for loss in smooth {
        func total(_ p: [Double]) -> Double {
          loss.sequence(logProbs: p, oldLogProbs: old, advantages: advantages, mask: mask).reduce(0) { $0 + $1.loss }
        }
        let c = loss.sequence(logProbs: now, oldLogProbs: old, advantages: advantages, mask: mask)
        for t in mask.indices {
          let step = 1e-6
          var above = now
          above[t] += step
          var below = now
          below[t] -= step
          let left = loss.sequence(logProbs: below, oldLogProbs: old, advantages: advantages, mask: mask)
          let right = loss.sequence(logProbs: above, oldLogProbs: old, advantages: advantages, mask: mask)
          // A bound between the two points has no slope.
          if left.map(\.clip) != right.map(\.clip) { continue }
          let slope = (total(above) - total(below)) / (2 * step)
          #expect(abs(slope - c[t].dLogProb) <= 1e-7 * max(1, abs(slope)), "\(loss) at \(t)")
          checked += 1
        }
      }
    }
    #expect(checked > 8000)
  }

  @Test func firstUpdateIsMinusAdvantageTimesWeight() {
    let onPolicy: [any PolicyLoss] = [
      ClipLoss(), ClipLoss(low: 0, high: 0), ReinforceLoss(), CISPOLoss(.cap(5)), CISPOLoss(.clamp(low: 1, high: 0.28)),
      GSPOLoss(), GSPOTokenLoss(), GMPOLoss(), SAPOLoss(positive: 1, negative: 1), VESPOLoss(), DROLoss(beta: 0.5),
    ]
    let logProbs: [Float] = [-0.3, -1.7, -2.9, -0.01]
    for a in [0.7, -1.3, 0.0] {
      let sample = PolicySample(
        group: 0, reward: 1, responseMask: [true, false, true, true], oldLogProbs: logProbs)
      for loss in onPolicy {
        let objective = PolicyObjective(policy: loss)
        let result = objective.sequence(
          sample, logProbs: logProbs, advantages: [a, a, a, a], weight: 0.125)
        #expect(result.map(\.dLogProb) == [-a * 0.125, 0, -a * 0.125, -a * 0.125], "\(loss)")
        #expect(result.allSatisfy { $0.policy.clip == .none })
      }
    }
  }

  @Test func nothingBehindTheMaskIsRead() {
    let mask = [true, false, true]
    for loss in allLosses {
      func run(_ hidden: Double) -> [TokenLoss] {
        loss.sequence(
          logProbs: [-0.4, hidden, -1.1], oldLogProbs: [-0.5, hidden, -0.9], advantages: [0.8, hidden, 0.8], mask: mask)
      }
      #expect(run(.nan) == run(-0.7), "\(loss)")
      #expect(run(.nan)[1] == .zero)
      let empty = loss.sequence(
        logProbs: [.nan], oldLogProbs: [.nan], advantages: [.nan], mask: [false])
      #expect(empty == [.zero])
    }
  }

  /// A tool block put anywhere changes neither advantages nor weights of the policy's tokens.
  @Test func toolTokensChangeNothing() {
    let plain = batch(11)
    let widened = plain.map { s -> PolicySample in
      func insert<T>(_ x: [T], _ value: T) -> [T] { Array(x[0..<4]) + [value, value, value] + Array(x[4...]) }
      var sample = PolicySample(
        group: s.group, reward: s.reward, responseMask: insert(s.responseMask, false),
        oldLogProbs: insert(s.oldLogProbs, .nan), refLogProbs: insert(s.refLogProbs!, .nan),
        samplerLogProbs: insert(s.samplerLogProbs!, .nan), values: insert(s.values!, .nan),
        tokenRewards: insert(s.tokenRewards!, .nan))
      sample.greedyReward = s.greedyReward
      return sample
    }
    for kind in AdvantageKind.allCases {
      let a = settings(kind).advantages(PolicyBatch(plain)).perToken
      let b = settings(kind).advantages(PolicyBatch(widened)).perToken
      for i in plain.indices {
        let kept = zip(a[i], plain[i].responseMask).filter(\.1).map(\.0)
        #expect(kept == zip(b[i], widened[i].responseMask).filter(\.1).map(\.0), "\(kind)")
        #expect(!kept.contains { !$0.isFinite })
      }
    }
    for mode in Aggregation.allCases { #expect(mode.weights(plain, length: 9) == mode.weights(widened, length: 9)) }
  }

  @Test func orderOfSamplesChangesNoBit() {
    let samples = batch(5)
    let order = [4, 0, 6, 2, 5, 1, 3]
    for kind in AdvantageKind.allCases {
      let a = settings(kind).advantages(PolicyBatch(samples))
      let b = settings(kind).advantages(PolicyBatch(order.map { samples[$0] }))
      #expect(order.map { a.perToken[$0] } == b.perToken, "\(kind)")
    }
    for mode in Aggregation.allCases {
      let a = mode.weights(samples, length: 9)
      #expect(order.map { a[$0] } == mode.weights(order.map { samples[$0] }, length: 9))
    }
  }

  @Test func equalRewardsGiveExactlyNothing() {
    for reward in [0.9, 1.1, -0.1, 0.7, 1.0 / 3] {
      for n in 2...13 {
        let samples = (0..<n).map { _ -> PolicySample in
          var sample = PolicySample(
            group: 7, reward: reward, responseMask: [true, true], oldLogProbs: [-1, -1])
          sample.greedyReward = reward
          return sample
        }
        for kind in [
          AdvantageKind.grpo, .grpoBatch, .drGRPO, .rloo, .reinforcePlusPlus, .reinforcePlusPlusBaseline, .opo, .maxRL,
          .gpg, .passK, .remax,
        ] {
          let a = settings(kind)
          var s = a
          s.gamma = 1
          #expect(s.advantages(PolicyBatch(samples)).perToken.joined().allSatisfy { $0 == 0 }, "\(kind) \(reward) \(n)")
        }
        #expect(!groupHasSignal(samples.map(\.reward)))
      }
    }
    #expect(groupHasSignal([1]))
    #expect(groupHasSignal([0, 1, 0]))
    #expect(!groupHasSignal([1, .nan, 1]))
  }

  @Test func centredAdvantagesAddUpToNothing() {
    let samples = batch(21)
    let a = CenteredAdvantage().groupAdvantages(rewards: [0.3, -1.2, 2.2, 0.9], lengths: [1, 2, 3, 4])
    #expect(abs(a.reduce(0, +)) < 1e-15 && a.contains { $0 != 0 })
    // RLOO against its definition.
    let rewards = samples.suffix(4).map(\.totalReward)
    for (i, a) in RLOOAdvantage().groupAdvantages(rewards: rewards, lengths: [1, 1, 1, 1]).enumerated() {
      let others = rewards.enumerated().filter { $0.offset != i }.map(\.element)
      #expect(abs(a - (rewards[i] - others.reduce(0, +) / 3)) < 1e-14)
    }
  }

  /// Weights come from global counts, so however the batch is cut the parts add up to the whole, bit by bit per token.
  @Test func cutsDoNotChangeTheLoss() {
    let samples = batch(9)
    var s = settings(.grpo)
    s.kl = .k3
    s.entropyCoef = 0.01
    let objective = s.makeObjective()
    #expect(!objective.requiresSequence)
    let advantages = s.advantages(PolicyBatch(samples)).perToken
    for mode in Aggregation.allCases {
      let weights = mode.weights(samples, length: 9)
      var whole = PolicyMetrics()
      var single = PolicyMetrics()
      for (i, sample) in samples.enumerated() {
        let now = sample.oldLogProbs.map { $0 + 0.125 }
        let all = objective.sequence(
          sample, logProbs: now, entropies: now.map { -$0 }, advantages: advantages[i], weight: weights[i])
        for t in sample.responseMask.indices where sample.responseMask[t] {
          let one = objective.token(
            logProb: now[t], entropy: -now[t], oldLogProb: sample.oldLogProbs[t], refLogProb: sample.refLogProbs![t],
            advantage: advantages[i][t], weight: weights[i])
          #expect(one == all[t])
          #expect(one.dEntropy == -0.01 * weights[i])
          whole.add(all[t], logProb: now[t], entropy: -now[t], oldLogProb: sample.oldLogProbs[t])
          single.add(one, logProb: now[t], entropy: -now[t], oldLogProb: sample.oldLogProbs[t])
        }
      }
      #expect(whole == single)
      #expect(whole.tokens == samples.reduce(0) { $0 + $1.tokenCount })
      #expect(abs(whole.ratioMean - 1.1331484530668263) < 1e-7)
      if mode == .tokenMean {
        let sum = zip(samples, weights).reduce(0) { $0 + Double($1.0.tokenCount) * $1.1 }
        #expect(abs(sum - 1) < 1e-12)
      }
    }
  }

  /// The factor for a foreign sampler acts on the policy term alone; weight and entropy bonus on what they should.
  @Test func objectiveIsTheSumOfItsTerms() {
    let objective = PolicyObjective(
      policy: ReinforceLoss(), kl: KLPenalty(.k2), klCoefficient: 0.5, entropyCoefficient: 0.25)
    let token = objective.token(
      logProb: -1.5, entropy: 2, oldLogProb: -1.25, refLogProb: -2.5, advantage: 0.75, weight: 0.125, correction: 0.5)
    // d = -1: k2 = 0.5, its derivative 1; -A log-prob = 1.125.
    #expect(token.loss == 0.125 * (0.5 * 1.125 + 0.5 * 0.5 - 0.25 * 2))
    #expect(token.dLogProb == 0.125 * (0.5 * -0.75 + 0.5 * 1))
    #expect(token.dEntropy == -0.25 * 0.125)
    #expect(token.kl == 0.5 && token.policy.loss == 1.125)
    let sample = PolicySample(
      group: 0, reward: 0, responseMask: [true, false], oldLogProbs: [-1.25, .nan], refLogProbs: [-2.5, .nan])
    let both = objective.sequence(
      sample, logProbs: [-1.5, .nan], entropies: [2, .nan], advantages: [0.75, .nan], weight: 0.125,
      corrections: [0.5, .nan])
    #expect(both[0] == token && both[1].loss == 0 && both[1].dLogProb == 0 && both[1].dEntropy == 0)
  }

  @Test func k3HasItsMinimumWhereThePoliciesAgree() {
    for clamps in [(0.0, 0.0), (20, 10)] {
      let k3 = KLPenalty(.k3, differenceClamp: clamps.0, valueClamp: clamps.1)
      let (value, derivative) = k3.value(logProb: -1.25, refLogProb: -1.25)
      #expect(value == 0 && derivative == 0)
    }
  }
}
