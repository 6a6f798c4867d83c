import PPO
import Testing

@Suite struct ObservationFormulaTests {
  /// A quarter of the mean of 1, 2 and 6.
  @Test func aMeanWithItsOwnDenominator() {
    let term = ObservationLoss(coefficient: 0.25, tokens: 3)
    #expect([-1, -2, -6].reduce(0) { $0 + term.crossEntropy(logProb: $1) } == 3)
    #expect(term.dLogProb == -0.25 / 3)
    #expect(LossSettings().makeObservationLoss(tokens: 3) == nil)
    var settings = LossSettings()
    settings.observationCoef = 0.25
    #expect(settings.makeObservationLoss(tokens: 3) == term && settings.problems.isEmpty)
    settings.observationCoef = -0.25
    #expect(settings.problems.first?.contains("observation_coef") == true)
  }
}
