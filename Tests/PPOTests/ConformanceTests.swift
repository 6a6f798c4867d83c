import PPO
import Testing

/// Formula by formula against PyTorch's autograd and against TRL's own loss function.
@Suite struct ConformanceTests {
  let fixture: Fixture
  init() throws { fixture = try Fixture.load() }

  private func make(_ name: String, _ o: Fixture.Options) throws -> any PolicyLoss {
    switch name {
    case "clip", "clip_higher", "clip_clamped", "clip_dual":
      return ClipLoss(low: o.low!, high: o.high!, dual: o.dual, differenceClamp: o.clamp)
    case "cispo_cap": return CISPOLoss(.cap(o.cap!))
    case "cispo_clamp", "cispo_clamp_20":
      return CISPOLoss(.clamp(low: o.low!, high: o.high!), differenceClamp: o.clamp)
    case "sapo": return SAPOLoss(positive: o.positive!, negative: o.negative!)
    case "reinforce": return ReinforceLoss()
    case "sft": return SFTLoss()
    case "dro": return DROLoss(beta: o.beta!)
    case "dppo": return DPPOLoss(low: o.low!, high: o.high!, penalty: o.penalty!)
    case "gspo": return GSPOLoss(low: o.low!, high: o.high!)
    case "gspo_token": return GSPOTokenLoss(low: o.low!, high: o.high!)
    case "gmpo": return GMPOLoss(low: o.low!, high: o.high!)
    case "vespo": return VESPOLoss()
    default: throw Missing(name: name)
    }
  }

  struct Missing: Error { var name: String }

  private func rowsSpread() -> [[Double]] { fixture.inputs.rows.map { a in [Double](repeating: a, count: 7) } }

  @Test func policyLossesMatchAutograd() throws {
    var clipped: Set<String> = []
    // VESPO exponentiates a large logarithm and SAPO takes 1 - sigma near 1: fp32 itself is that far off there.
    let fp32Tolerance = ["vespo": 2e-5, "sapo": 2e-2]
    for c in fixture.losses {
      let loss = try make(c.name, c.options)
      let advantages = fixture.hidden(c.advantages == "row" ? rowsSpread() : fixture.inputs.byToken)
      let logProbs = fixture.logProbs(c.logProbs)
      let old = fixture.hidden(fixture.inputs.old)
      let tokens = fixture.inputs.mask.indices.map { i in
        loss.sequence(
          logProbs: logProbs[i], oldLogProbs: old[i], advantages: advantages[i], mask: fixture.inputs.mask[i])
      }
      let what = "\(c.name) \(c.logProbs) \(c.advantages)"
      expectClose(tokens.map { $0.map(\.loss) }, c.loss, what + " loss")
      expectClose(tokens.map { $0.map(\.dLogProb) }, c.coefficients, what + " coefficient")
      // The coefficient as the head gets it, against the same formula in fp32.
      let rounded = tokens.map { $0.map { Double(Float($0.dLogProb)) } }
      expectClose(rounded, c.coefficientsFp32, what + " fp32", tolerance: fp32Tolerance[c.name] ?? 2e-6)
      for side in tokens.joined().map(\.clip) where side != .none { clipped.insert("\(c.name) \(side)") }
    }
    // Every branch was taken.
    for branch in [
      "clip high", "clip low", "clip_dual dual", "cispo_cap high", "cispo_clamp_20 low", "dppo high", "dppo low",
      "gspo high", "gspo low", "gmpo high", "gmpo low",
    ] { #expect(clipped.contains(branch), "no case reached \(branch)") }
  }

  /// Reference minus current log-prob; within 4.5 where the term is weighted, as in the fixture.
  private func reference(_ i: Int, _ t: Int, weighted: Bool) -> Double {
    let d = fixture.inputs.refMinusLogProb[i][t]
    return weighted ? max(-4.5, min(4.5, d)) : d
  }

  @Test func klTermsMatchAutograd() {
    for c in fixture.kl {
      let penalty = KLPenalty(c.kind, differenceClamp: c.differenceClamp, valueClamp: c.valueClamp)
      var values: [[Double]] = []
      var derivatives: [[Double]] = []
      for i in fixture.inputs.mask.indices {
        let pairs = fixture.inputs.mask[i].indices.map { t -> (Double, Double) in
          if !fixture.inputs.mask[i][t] { return (0, 0) }
          let p = fixture.inputs.near[i][t]
          let r = p + reference(i, t, weighted: c.importance)
          let pair =
            c.importance
            ? penalty.importanceWeighted(logProb: p, oldLogProb: fixture.inputs.old[i][t], refLogProb: r)
            : penalty.value(logProb: p, refLogProb: r)
          return (pair.value, pair.derivative)
        }
        values.append(pairs.map(\.0))
        derivatives.append(pairs.map(\.1))
      }
      let what = "\(c.kind) clamp \(c.differenceClamp) \(c.valueClamp) importance \(c.importance)"
      expectClose(values, c.value, what)
      expectClose(derivatives, c.derivative, what + " derivative")
    }
  }

  private var estimators: [String: any AdvantageEstimator] {
    [
      "grpo": GRPOAdvantage(), "grpo_1e-4": GRPOAdvantage(epsilon: 1e-4), "grpo_batch": BatchScaledAdvantage(),
      "dr_grpo": CenteredAdvantage(), "rloo": RLOOAdvantage(), "opo": OPOAdvantage(), "max_rl": MaxRLAdvantage(),
      "pass_k": PassKAdvantage(), "gpg": GPGAdvantage(),
      "reinforce_plus_plus": ReinforcePlusPlusAdvantage(gamma: 0.99),
      "reinforce_plus_plus_baseline": ReinforcePlusPlusBaselineAdvantage(), "remax": ReMaxAdvantage(),
      "remax_per_token": ReMaxAdvantage(kl: .perToken),
      "gae_skip": GAEAdvantage(gamma: 0.99, lambda: 0.95, observation: .skip, whitens: false),
      "gae_zero": GAEAdvantage(gamma: 0.99, lambda: 0.95, observation: .zero, whitens: false),
      "gae_plain": GAEAdvantage(gamma: 0.99, lambda: 0.95, observation: .plain, whitens: false),
      "gae_whitened": GAEAdvantage(gamma: 0.99, lambda: 0.95),
    ]
  }

  @Test func advantagesMatchTheReference() throws {
    for c in fixture.advantages {
      let samples = fixture.samples(
        rewards: c.rewards.map { $0 ?? .nan }, tokenRewards: c.tokenRewards != "none")
      let batch = PolicyBatch(samples)
      var left = Set(c.expected.keys)
      for (name, estimator) in estimators {
        let result = estimator.advantages(batch)
        let what = "\(name), rewards \(c.name), \(c.tokenRewards)"
        let expected = try #require(c.expected[name])
        expectClose(result.perToken, expected, what, tolerance: 1e-11)
        left.remove(name)
        guard name.hasPrefix("gae_"), name != "gae_whitened" else { continue }
        let key = "gae_returns_" + name.dropFirst(4)
        expectClose(try #require(result.returns), try #require(c.expected[key]), what + " returns")
        left.remove(key)
      }
      #expect(left.isEmpty, "expected values that nothing was compared with: \(left)")
    }
  }

  @Test func correctionsMatchTheReference() {
    let samples = fixture.samples(rewards: [Double](repeating: 0, count: 6))
    for c in fixture.corrections {
      let factors = CorrectionSettings(c.kind, low: 0.5, high: 2).factors(samples)
      let masked = zip(factors, fixture.inputs.mask).map { zip($0, $1).map { $1 ? $0 : 0 } }
      expectClose(masked, c.factors, "\(c.kind)")
    }
    #expect(Set(fixture.corrections.map(\.kind)).union([.none]) == Set(CorrectionKind.allCases))
  }

  @Test func aggregationWeightsMatchAutograd() throws {
    let samples = fixture.samples(rewards: [Double](repeating: 0, count: 6))
    for mode in Aggregation.allCases {
      let weights = mode.weights(samples, length: 48)
      let spread = zip(weights, fixture.inputs.mask).map { w, m in m.map { $0 ? w : 0 } }
      expectClose(spread, try #require(fixture.aggregation[mode.rawValue]), "\(mode)")
    }
  }

  @Test func valueLossMatchesAutograd() {
    let x = fixture.inputs
    for c in fixture.values {
      let loss = ValueLoss(clip: c.clip)
      let tokens = x.values.indices.map { i in
        x.values[i].indices.map {
          loss.token(value: x.newValues[i][$0], oldValue: x.values[i][$0], target: x.targets[i][$0])
        }
      }
      expectClose(tokens.map { $0.map(\.loss) }, c.loss, "value loss \(c.clip ?? 0)")
      expectClose(tokens.map { $0.map(\.dValue) }, c.derivative, "value derivative \(c.clip ?? 0)")
    }
  }

  /// The whole objective, weights and KL included, from settings: the gradient TRL's own loss gives.
  @Test func objectiveMatchesTRL() throws {
    for c in fixture.trl {
      var settings = LossSettings()
      settings.clipLow = c.low
      settings.clipHigh = c.high
      settings.dualClip = c.delta ?? 0
      settings.kl = c.beta == 0 ? .none : .k3
      settings.klCoef = c.beta
      settings.klImportance = c.klImportance
      settings.sapoNegative = 1.0625
      settings.aggregationLength = 48
      let kinds: [String: (LossKind, Aggregation)] = [
        "grpo": (c.level == "sequence" ? .gspo : .grpo, .seqMeanTokenMean), "dapo": (.grpo, .tokenMean),
        "dr_grpo": (.grpo, .seqMeanTokenSumNorm), "cispo": (.cispo, .tokenMean), "sapo": (.sapo, .seqMeanTokenMean),
        "vespo": (.vespo, .tokenMean), "luspo": (.gspo, .seqMeanTokenSum), "gmpo": (.gmpo, .seqMeanTokenMean),
      ]
      (settings.kind, settings.aggregation) = try #require(kinds[c.lossType])
      if settings.kind == .cispo { settings.cispoCap = c.high }
      #expect(settings.problems.isEmpty)
      let objective = settings.makeObjective()
      let logProbs = fixture.logProbs(c.logProbs)
      var samples = fixture.samples(rewards: [Double](repeating: 0, count: 6))
      for i in samples.indices {
        samples[i].refLogProbs = logProbs[i].enumerated().map { t, p in
          Float(p + reference(i, t, weighted: c.klImportance))
        }
      }
      let weights = settings.aggregation.weights(samples, length: settings.aggregationLength)
      let tokens = samples.indices.map { i in
        objective.sequence(
          samples[i], logProbs: logProbs[i].map(Float.init), advantages: rowsSpread()[i], weight: weights[i])
      }
      let what = "TRL \(c.lossType) \(c.level) beta \(c.beta)"
      expectClose(tokens.map { $0.map(\.dLogProb) }, c.gradient, what)
      expectClose([[tokens.joined().reduce(0) { $0 + $1.loss }]], [[c.loss]], what + " loss")
    }
  }
}
