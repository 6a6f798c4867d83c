import Foundation
import Rollout
import Tensor
import Transformer

/// How long a stage's sequences are, from its own data.
struct PlanLengths {
  /// Tokens of the longest sequence; of a sampled one with the longest response.
  var longest: Int
  /// Packed rows of the largest micro-batch, and targets of the one that has most.
  var rows: Int
  var targets: Int

  /// What the data of `configuration` makes; nil where it is not there yet, or cannot be read: the stage will say why.
  init?(_ configuration: Configuration, kind: StageKind) {
    let paths = configuration.data
    guard !paths.isEmpty, paths.allSatisfy({ FileManager.default.fileExists(atPath: $0) }),
      let loaded = try? LoadedModel.header(configuration)
    else { return nil }
    let builder = PromptBuilder(loaded, settings: configuration.prompt, python: configuration.interpreter.python)
    let found =
      try? kind == .sft
      ? Self.examples(configuration, loaded, builder)
      : Self.responses(configuration, loaded, builder, sharesPrompts: kind == .rl && configuration.sharesPrompts)
    guard var found else { return nil }
    if kind == .rft, !configuration.rejection.mix.isEmpty {
      var mixed = configuration
      (mixed.data, mixed.rejection.mix) = (configuration.rejection.mix, [])
      if let more = PlanLengths(mixed, kind: .sft) {
        found.longest = max(found.longest, more.longest)
        found.rows = max(found.rows, more.rows)
        found.targets = max(found.targets, more.targets)
      }
    }
    self = found
  }

  private init(longest: Int, rows: Int, targets: Int) {
    self.longest = longest
    self.rows = rows
    self.targets = targets
  }

  /// The micro-batches of all steps, or of the first thousand.
  private static func examples(
    _ configuration: Configuration, _ loaded: LoadedModel, _ builder: PromptBuilder
  ) throws -> PlanLengths? {
    let shape = loaded.model.configuration
    let examples = try TrainingExamples(
      builder: builder, tokenizer: loaded.tokenizer, vocabulary: shape.vocabularySize,
      contextLength: shape.contextLength, authors: configuration.trainAuthors
    ).read(configuration.data).map { (tokens: $0.tokens.count, targets: $0.trained.count { $0 }) }
    guard !examples.isEmpty else { return nil }
    let order = DataOrder(count: examples.count, seed: configuration.seed)
    var found = PlanLengths(longest: examples.map(\.tokens).max() ?? 0, rows: 0, targets: 0)
    let (size, shards) = (configuration.updateBatch, configuration.gradientShards)
    for step in 0..<min(max(1, configuration.steps), 1000) {
      let batch = order.items(from: step * size, count: size).map { examples[$0] }
      for shard in 0..<shards {
        let range = size * shard / shards..<size * (shard + 1) / shards
        for part in Learner.microBatches(batch.map(\.tokens), range, budget: configuration.microBatchTokens) {
          found.rows = max(found.rows, batch[part].reduce(0) { $0 + $1.tokens })
          found.targets = max(found.targets, batch[part].reduce(0) { $0 + $1.targets })
        }
      }
    }
    return found
  }

  /// Every response as long as allowed.
  private static func responses(
    _ configuration: Configuration, _ loaded: LoadedModel, _ builder: PromptBuilder, sharesPrompts: Bool
  ) throws -> PlanLengths? {
    // Prompts of one form differ little; a thousand are enough to find a long one.
    let problems = try Stage.problems(configuration.data, key: "data").prefix(1000)
    guard let prompt = try problems.map({ try builder.prompt($0).count }).max() else { return nil }
    let response = configuration.sampling.maxTokens
    let longest = min(loaded.model.configuration.contextLength, prompt + response)
    let rows = min(max(configuration.microBatchTokens, longest), configuration.updateBatch * longest)
    // Where responses share their prompt, all rows behind it may be targets.
    let targets = sharesPrompts ? rows - prompt + 1 : (rows / longest + 1) * response
    return PlanLengths(longest: longest, rows: rows, targets: min(rows, targets))
  }
}
