import Foundation
import PPO
import Reports
import Rollout
import Support

/// Supervised fine-tuning, and training from random weights: maximum likelihood of the trained tokens.
enum SFTStage {
  static func run(_ configuration: Configuration, folder: RunFolder, context: StageContext) throws {
    if folder.isFinished(configuration) { return context.onEvent(.note("\(folder.path) is finished")) }
    var configuration = configuration
    configuration.loss = maximumLikelihood(configuration.loss)
    let run = try TrainingRun(configuration, folder: folder, context: context)
    guard !configuration.data.isEmpty else { throw MartletError(.configuration, "data: names no file of examples") }
    let examples = try read(
      configuration.data, for: run.loaded, configuration, folder: folder, onEvent: context.onEvent)
    guard !examples.isEmpty else {
      throw MartletError(.data, "\(configuration.data.joined(separator: ", ")): there are no examples")
    }
    context.onEvent(.note("\(examples.count) examples, \(examples.reduce(0) { $0 + $1.tokens.count }) tokens"))
    report(on: examples, configuration, context)
    try train(run, on: examples)
    try run.finish()
  }

  /// The examples in `files`. The problems of `eval_data` are checked too, so that their mistakes show now.
  static func read(
    _ files: [String], for loaded: LoadedModel, _ configuration: Configuration, folder: RunFolder,
    onEvent: EventHandler
  ) throws -> [TrainingExample] {
    let builder = try PromptBuilder(loaded, configuration)
    let shape = loaded.model.configuration
    let examples = try TrainingExamples(
      builder: builder, tokenizer: loaded.tokenizer, vocabulary: shape.vocabularySize,
      contextLength: shape.contextLength, authors: configuration.trainAuthors
    ).read(files)
    if !configuration.evalData.isEmpty {
      let room = PromptRoom(loaded, builder: builder, configuration: configuration)
      let problems = try Stage.problems(configuration.evalData, key: "eval_data")
      _ = try room.admit(problems, list: folder.file("skipped-eval.jsonl"), onEvent: onEvent)
    }
    return examples
  }

  /// Warns of settings that have nothing to act on in these examples.
  private static func report(
    on examples: [TrainingExample], _ configuration: Configuration, _ context: StageContext
  ) {
    let absent = configuration.trainAuthors.filter { author in
      !examples.contains { $0.authors?.contains(author) ?? (author == .model) }
    }
    if !absent.isEmpty {
      context.onEvent(
        .warning("train_authors: no example has a token of \(absent.map(\.rawValue).joined(separator: ", "))"))
    }
    let given = configuration.stage == .sft && configuration.prompt != Configuration.Prompt()
    if given, configuration.evalData.isEmpty, examples.allSatisfy({ $0.authors?.contains(.prompt) == true }) {
      context.onEvent(.note("all examples are episodes, which have their tokens: the section prompt does nothing"))
    }
  }

  /// The part of the `loss` section that counts here: how tokens are weighed.
  private static func maximumLikelihood(_ given: LossSettings) -> LossSettings {
    var loss = LossSettings()
    loss.kind = .sft
    loss.aggregation = given.aggregation
    loss.aggregationLength = given.aggregationLength
    return loss
  }

  /// Takes optimizer steps until `steps` are done.
  static func train(_ run: TrainingRun, on examples: [TrainingExample]) throws {
    let configuration = run.configuration
    let order = DataOrder(count: examples.count, seed: configuration.seed)
    let loss = configuration.loss
    while !run.isDone {
      let started = ContinuousClock.now
      let place = run.state.place ?? run.state.step * configuration.updateBatch
      let items = order.items(from: place, count: configuration.updateBatch)
      let samples = items.enumerated().map { sample(examples[$1], group: $0) }
      let weights = loss.aggregation.weights(samples.map(\.policy), length: loss.aggregationLength)
      run.announceUpdate(of: samples.count)
      let result = try run.learner.update(samples, weights: weights, totalSteps: configuration.steps)
      let seconds = started.secondsSince
      var line = Metrics(step: run.state.step + 1)
      line["loss"] = .double(result.metrics.loss)
      line["entropy"] = .double(result.metrics.entropy)
      line["grad_norm"] = .double(result.gradientNorm)
      line["learning_rate"] = .double(result.learningRate)
      line["trained_tokens"] = .int(result.metrics.tokens)
      line["tokens"] = .int(result.tokens)
      line["seconds"] = .double(seconds)
      line["tokens_per_second"] = .double(Double(result.tokens) / seconds)
      run.state.place = place + configuration.updateBatch
      try run.finishStep(line)
    }
  }

  private static func sample(_ example: TrainingExample, group: Int) -> LearningSample {
    let count = example.tokens.count
    return LearningSample(
      tokens: example.tokens, responseStart: 0,
      policy: PolicySample(
        group: group, reward: 0, responseMask: example.trained, oldLogProbs: [Float](repeating: 0, count: count)),
      advantages: [Double](repeating: 0, count: count))
  }
}
