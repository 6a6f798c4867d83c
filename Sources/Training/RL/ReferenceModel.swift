import PPO
import Support
import Transformer

/// The frozen policy of the KL term (or the teacher of a distillation).
final class ReferenceModel {
  private let pass: TrainingPass
  private let microBatchTokens: Int

  /// Whether the reference lies in the policy's own memory: adapters that began as nothing, left out.
  static func sharesWeights(_ configuration: Configuration) -> Bool {
    configuration.refModel == nil && configuration.lora.rank > 0 && configuration.lora.start == .orthogonal
  }

  /// - Parameter current: the policy as it is now, whose weights are copied when `ref_model` names no other and they
  ///   change.
  init(_ configuration: Configuration, current: LoadedModel, context: StageContext) throws {
    let model: LanguageModel
    if Self.sharesWeights(configuration), current.model.configuration.adapters != nil {
      model = current.model.base(valueHead: false)
    } else if let path = configuration.refModel ?? configuration.model {
      model = try LoadedModel.load(path, valueHead: false).model
    } else {
      let plain = current.model.merged(pool: context.pool)
      var shape = plain.configuration
      shape.valueHead = false
      model = LanguageModel(configuration: shape)
      model.weights.pointer.update(from: plain.weights.pointer, count: model.weights.count)
    }
    guard model.configuration.vocabularySize == current.model.configuration.vocabularySize else {
      throw MartletError(
        .configuration,
        "ref_model: has \(model.configuration.vocabularySize) words, the model \(current.model.configuration.vocabularySize)"
      )
    }
    pass = TrainingPass(model: model, gradients: nil, matmul: configuration.matmul, pool: context.pool)
    pass.timer = context.timer
    microBatchTokens = configuration.microBatchTokens
  }

  /// Fills in `refLogProbs`.
  func score(_ samples: inout [LearningSample]) {
    let scores = Learner.score(samples, pass: pass, microBatchTokens: microBatchTokens)
    for index in samples.indices {
      samples[index].policy.refLogProbs = Experience.spread(
        scores.logProbs[index], over: samples[index].policy.responseMask)
    }
  }
}
