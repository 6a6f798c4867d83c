import Demo
import PPO
import Rollout
import Support
import Tensor
import Transformer

/// The words that a configuration may choose between.
enum ConfigurationChoices {
  /// The words, by the name that a decoding error gives the type.
  private static let words: [String: [String]] = {
    func choice<T: CaseIterable & RawRepresentable>(_ type: T.Type) -> (String, [String]) where T.RawValue == String {
      (String(describing: type), type.allCases.map(\.rawValue))
    }
    return Dictionary(
      uniqueKeysWithValues: [
        choice(MatmulMode.self), choice(OptimizerKind.self), choice(OptimizerState.self),
        choice(LearningRateSchedule.self),
        choice(ModelConfiguration.Architecture.self), choice(Projection.self), choice(AdapterStart.self),
        choice(TemplateChoice.self),
        choice(Author.self), choice(ToolFormats.self), choice(InterpreterSettings.Tier.self),
        choice(ProblemFamily.self), choice(ProblemGenerator.Split.self), choice(Configuration.Hint.Mode.self),
        choice(Configuration.Rejection.Filter.self), choice(LossKind.self), choice(AdvantageKind.self),
        choice(KLKind.self), choice(Aggregation.self), choice(GAEObservation.self), choice(ReMaxKL.self),
        choice(CorrectionKind.self), choice(Recomputation.self), choice(OverlongPrompts.self),
      ])
  }()

  /// A better message for a word that is no case of its type. The decoder says: "Cannot initialize T from invalid
  /// String value w".
  static func explain(_ description: String) -> String? {
    let parts = description.split(separator: " ", maxSplits: 7, omittingEmptySubsequences: false)
    guard parts.count == 8, parts[0] == "Cannot", parts[1] == "initialize", let known = words[String(parts[2])]
    else { return nil }
    let word = String(parts[7])
    let nearest = nearestWord(to: word, among: known)
    return "\(word) is not one of \(known.joined(separator: ", "))" + (nearest.map { "; did you mean \($0)?" } ?? "")
  }
}
