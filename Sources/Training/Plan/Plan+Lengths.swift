import Foundation
import Rollout
import Transformer

/// How long a stage's sequences are, from its own data.
struct PlanLengths {
  /// Tokens of the longest sequence, with the longest response where it is sampled.
  var longest: Int
  /// Rows of the largest micro-batch, and targets of the one with most.
  var rows: Int
  var targets: Int
  /// Prompts that leave no room for a response.
  var overlong: [PromptRoom.Overlong] = []

  /// The lengths of the data of `configuration`; nil where it is not there yet.
  /// - Throws: `MartletError` for data that cannot be used, with file and line.
  init?(_ configuration: Configuration, kind: StageKind) throws {
    let paths = configuration.data
    guard !paths.isEmpty, paths.allSatisfy({ FileManager.default.fileExists(atPath: $0) }) else { return nil }
    let loaded = try LoadedModel.header(configuration)
    let builder = try PromptBuilder(loaded, configuration)
    let made =
      kind == .sft
      ? try Self.examples(configuration, loaded, builder)
      : try Self.responses(configuration, loaded, builder, sharesPrompts: kind == .rl && configuration.sharesPrompts)
    guard var found = made else { return nil }
    if kind == .rft, !configuration.rejection.mix.isEmpty {
      var mixed = configuration
      (mixed.data, mixed.rejection.mix) = (configuration.rejection.mix, [])
      if let more = try PlanLengths(mixed, kind: .sft) {
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
    let room = PromptRoom(loaded, builder: builder, configuration: configuration)
    let problems = try Stage.problems(configuration.data, key: "data")
    let counts = try room.counts(problems)
    let overlong = room.find(problems, counts: counts)
    guard let prompt = counts.filter({ $0 < room.contextLength }).max() else {
      guard !overlong.isEmpty else { return nil }
      var found = PlanLengths(longest: room.contextLength, rows: room.contextLength, targets: room.contextLength)
      found.overlong = overlong
      return found
    }
    let response = configuration.sampling.maxTokens
    let longest = min(loaded.model.configuration.contextLength, prompt + response)
    let rows = min(max(configuration.microBatchTokens, longest), configuration.updateBatch * longest)
    // Where responses share their prompt, all rows after it may be targets.
    let targets = sharesPrompts ? rows - prompt + 1 : (rows / longest + 1) * response
    var found = PlanLengths(longest: longest, rows: rows, targets: min(rows, targets))
    found.overlong = overlong
    return found
  }
}
