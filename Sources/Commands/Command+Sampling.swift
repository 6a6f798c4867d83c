import ArgumentParser
import Foundation
import Rollout
import Support
import Training

extension TemplateChoice: ExpressibleByArgument {}
extension ToolFormats: ExpressibleByArgument {}

/// How `generate` and `ask` sample.
struct SamplingArguments: ParsableArguments {
  @Option(help: "What logits are divided by; 0: the most probable token.") var temperature: Float = 1
  @Option(help: "Keep the most probable tokens of this mass.") var topP: Float = 1
  @Option(help: "Keep this many tokens; 0: all.") var topK = 0
  @Option(help: "Tokens after the prompt, tool output included.") var maxTokens = 2048
  @Option(help: "Blocks that are executed.") var maxCalls = 12
  @Option(help: "python, tool_call, code or none.") var tools: ToolFormats = .python
  @Option(parsing: .unconditional, help: "A sentence every response begins with.") var hint: String?
  @Option(help: "The seed of all draws.") var seed: UInt64 = 0
  @Option(help: "auto, chatml, deepseek or none.") var template: TemplateChoice = .auto
  @Option(parsing: .unconditional, help: "Put behind each problem.") var instruction = ""
  @Option(help: "NAME=VALUE for the model's own template, such as enable_thinking=false; may be repeated.")
  var templateVariable: [String] = []
  @Option(help: "The day that the model's own template tells, YYYY-MM-DD; today's if not given.") var date: String?
  @Flag(help: "Leave out problems whose prompt leaves no room for a response.") var skipOverlong = false
  @OptionGroup var threads: Threads

  /// The options as the configuration of a stage, so that there is one path for all sampling.
  func configuration(samples: Int = 1) throws -> Configuration {
    var configuration = Configuration()
    configuration.seed = seed
    configuration.sampling.temperature = temperature
    configuration.sampling.topP = topP
    configuration.sampling.topK = topK
    configuration.sampling.maxTokens = maxTokens
    configuration.sampling.maxCalls = maxCalls
    configuration.sampling.tools = tools
    configuration.prompt.hint = hint
    configuration.prompt.template = template
    configuration.prompt.instruction = instruction
    configuration.prompt.date = date
    configuration.prompt.overlong = skipOverlong ? .skip : .error
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

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Sample responses to problems with the interpreter, and judge them.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @OptionGroup var files: LineFiles
  @Option(help: "Responses a problem.") var samples = 1
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let configuration = try sampling.configuration(samples: samples)
    let loaded = try LoadedModel.load(model, valueHead: false)
    // A place that cannot be written shows before the work, not after it.
    try JSONLinesFile(files.output, appending: true).close()
    let episodes = try Stage.generate(
      file: files.input, loaded: loaded, configuration, context: sampling.threads.context(saves: false))
    try EpisodeFile.write(episodes, to: files.output)
  }
}

struct Ask: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ask", abstract: "One problem on the terminal: reasoning, code and outputs as they come.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @Argument(help: "The problem.") var problem: String
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let configuration = try sampling.configuration()
    let loaded = try LoadedModel.load(model, valueHead: false)
    let hasColours = isatty(1) == 1
    let context = StageContext(
      threads: sampling.threads.threads,
      onEvent: { if case .warning(let text) = $0 { Console.warning(text) } })
    let episodes = try Stage.generate(
      Problem(id: "ask", problem: problem, gold: ""), loaded: loaded, configuration, context: context
    ) { author, text in
      let colour = hasColours ? Self.colour(author) : ""
      Console.stream(colour.isEmpty ? text : "\(colour)\(text)\u{1B}[0m")
    }
    Console.out("")
    if let answer = episodes.first?.answer { Console.out("Answer: \(answer)") }
  }

  /// Cyan for what Python says, yellow for hints.
  private static func colour(_ author: Author) -> String {
    switch author {
    case .tool: "\u{1B}[36m"
    case .hint: "\u{1B}[33m"
    case .prompt, .model: ""
    }
  }
}
