import ArgumentParser
import Foundation
import Rollout
import Support
import Training

extension TemplateChoice: ExpressibleByArgument {}
extension ToolFormats: ExpressibleByArgument {}

/// How `generate` and `ask` sample.
struct SamplingArguments: ParsableArguments {
  @Option(help: "Divides the logits; 0 takes the most probable token.") var temperature: Float = 1
  @Option(help: "Draw from the most probable tokens that together have this probability.") var topP: Float = 1
  @Option(help: "Draw from this many of the most probable tokens; 0 from all.") var topK = 0
  @Option(help: "The most tokens a response may have, tool output included.") var maxTokens = 2048
  @Option(help: "The most code blocks that are run.") var maxCalls = 12
  @Option(help: "How the model calls Python.") var tools: ToolFormats = .python
  @Option(parsing: .unconditional, help: "A sentence that every response begins with.") var hint: String?
  @Option(help: "Hints at test time: the most that a response gets, one a round.") var hintRounds = 0
  @Option(parsing: .unconditional, help: "With --hint-rounds: the sentence behind one that hesitates; '' for none.")
  var hesitationHint = HintFinder().hesitation
  @Option(parsing: .unconditional, help: "With --hint-rounds: the sentence before the end; '' for none.")
  var endHint = HintFinder().end
  @Option(help: "The seed of all draws.") var seed: UInt64 = 0
  @Option(help: "The chat template.") var template: TemplateChoice = .auto
  @Option(parsing: .unconditional, help: "A text to put behind each problem.") var instruction = ""
  @Option(
    help: ArgumentHelp(
      "A variable of the model's own template, such as enable_thinking=false. May be repeated.",
      valueName: "name=value"))
  var templateVariable: [String] = []
  @Option(
    help: ArgumentHelp("The date that the model's own template is told; today if not given.", valueName: "yyyy-mm-dd"))
  var date: String?
  @OptionGroup var threads: Threads

  /// The options as the configuration of a stage, so that there is one path for all sampling.
  func configuration(samples: Int = 1, skipsOverlong: Bool = false) throws -> Configuration {
    var configuration = Configuration()
    configuration.seed = seed
    configuration.sampling.temperature = temperature
    configuration.sampling.topP = topP
    configuration.sampling.topK = topK
    configuration.sampling.maxTokens = maxTokens
    configuration.sampling.maxCalls = maxCalls
    configuration.sampling.tools = tools
    configuration.prompt.hint = hint
    configuration.testHints.rounds = hintRounds
    configuration.testHints.hesitation = hesitationHint
    configuration.testHints.end = endHint
    configuration.prompt.template = template
    configuration.prompt.instruction = instruction
    configuration.prompt.date = date
    configuration.prompt.overlong = skipsOverlong ? .skip : .error
    for variable in templateVariable {
      guard let equal = variable.firstIndex(of: "="), equal > variable.startIndex else {
        throw ValidationError("--template-variable \(variable): write it as NAME=VALUE")
      }
      let value = PlainValue(word: String(variable[variable.index(after: equal)...]))
      configuration.prompt.templateVariables[String(variable[..<equal])] = value
    }
    configuration.samplesPerPrompt = samples
    try asUsage { try configuration.validate(path: "options") }
    return configuration
  }
}

extension SamplingArguments {
  /// Whether the response used up its calls.
  func ranOut(_ episode: Episode) -> Bool { tools != .none && maxCalls > 0 && episode.calls.count >= maxCalls }

  /// What a reader of the response should know: that it was cut off, ran out of calls, or has no answer.
  func remarks(on episode: Episode) -> [String] {
    var remarks: [String] = []
    if episode.finish == .length {
      let count = episode.tokens.count - episode.promptCount
      remarks.append(
        count >= maxTokens
          ? "cut off after \(count) tokens; --max-tokens allows more"
          : "cut off after \(count) tokens: the model's context is full")
    }
    if ranOut(episode) { remarks.append("all \(maxCalls) calls were used; --max-calls allows more") }
    if episode.answer == nil, episode.finish == .stop { remarks.append("no answer in \\boxed{}") }
    return remarks
  }
}

extension Author {
  /// The colour of what it writes.
  var colour: Colour? {
    switch self {
    case .tool: .cyan
    case .hint: .yellow
    case .prompt: .dim
    case .model: nil
    }
  }
}

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Sample and judge responses to a file of problems.",
    discussion: """
      Reads lines of {"id", "problem", "gt_answer"} and writes an episode for each response. train show FILE prints
      them.
      """)
  @Argument(help: "A model file, a run or a Hugging Face folder.") var model: InputPath
  @OptionGroup var adapter: AdapterOption
  @OptionGroup var files: LineFiles
  @Option(help: "Responses to each problem.") var samples = 1
  @Flag(help: "Leave out problems whose prompts leave no room for a response.") var skipOverlong = false
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let configuration = try sampling.configuration(samples: samples, skipsOverlong: skipOverlong)
    let input = try files.input.path()
    let context = sampling.threads.context(saves: false)
    let loaded = try LoadedModel.load(
      model.path(), adapter: adapter.path(), valueHead: false, for: .sampling, pool: context.pool)
    // A place that cannot be written shows before the work, not after it.
    try JSONLinesFile(files.output, appending: true).close()
    let episodes = try Stage.generate(
      file: input, loaded: loaded, configuration, context: context)
    try EpisodeFile.write(episodes, to: files.output)
    let counted = [
      "\(episodes.count { $0.verdict == .correct }) correct", "\(episodes.count { $0.finish == .length }) cut off",
      "\(episodes.count { sampling.ranOut($0) }) out of calls",
    ]
    Console.note(
      "\(files.output): \(episodes.count) responses to \(Set(episodes.map(\.id)).count) problems, "
        + counted.joined(separator: ", "))
  }
}

struct Ask: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ask", abstract: "Ask a model one problem and watch it answer.",
    discussion: "Python's outputs are cyan, hints yellow.")
  @Argument(help: "A model file, a run or a Hugging Face folder.") var model: InputPath
  @Argument(help: "The problem.") var problem: String
  @OptionGroup var adapter: AdapterOption
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let configuration = try sampling.configuration()
    let terminal = Terminal.output
    let context = StageContext(
      threads: sampling.threads.threads,
      onEvent: { if case .warning(let text) = $0 { Console.warning(text) } })
    let loaded = try LoadedModel.load(
      model.path(), adapter: adapter.path(), valueHead: false, for: .sampling, pool: context.pool)
    let episodes = try Stage.generate(
      Problem(id: "ask", problem: problem, gold: ""), loaded: loaded, configuration, context: context
    ) { author, text in
      let text = terminal.isInteractive ? text.printable : text
      Console.stream(terminal.hasColour ? author.colour?.paint(text) ?? text : text)
    }
    Console.out("")
    guard let episode = episodes.first else { return }
    if let answer = episode.answer { Console.out("Answer: \(answer.printable)") }
    for remark in sampling.remarks(on: episode) { Console.note(remark) }
  }
}
