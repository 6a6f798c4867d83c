import ArgumentParser
import Foundation
import Pipeline
import Rollout
import Tensor

extension TemplateChoice: ExpressibleByArgument {}
extension ToolFormats: ExpressibleByArgument {}

/// How `generate` and `ask` sample.
struct SamplingArguments: ParsableArguments {
  @Option var temperature: Float = 1
  @Option(help: "Keep the most probable tokens of this mass.") var topP: Float = 1
  @Option(help: "Keep this many tokens; 0: all.") var topK = 0
  @Option(help: "Tokens after the prompt, tool output included.") var maxTokens = 2048
  @Option(help: "Blocks that are executed.") var maxCalls = 12
  @Option(help: "python, tool_call, code or none.") var tools: ToolFormats = .python
  @Option(help: "A sentence every response begins with.") var hint: String?
  @Option var seed: UInt64 = 0
  @Option(help: "auto, chatml, deepseek or none.") var template: TemplateChoice = .auto
  @Option(help: "Put behind each problem.") var instruction = ""
  @OptionGroup var threads: Threads

  /// Limits are cut to what the model's context allows.
  func configuration(_ loaded: LoadedModel) throws -> Configuration {
    var configuration = Configuration()
    configuration.seed = seed
    configuration.sampling.temperature = temperature
    configuration.sampling.topP = topP
    configuration.sampling.topK = topK
    configuration.sampling.maxTokens = min(maxTokens, loaded.model.configuration.contextLength)
    configuration.sampling.maxCalls = maxCalls
    configuration.sampling.tools = tools
    configuration.prompt.hint = hint
    configuration.prompt.template = template
    configuration.prompt.instruction = instruction
    try configuration.validate(path: "options")
    return configuration
  }
}

struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate", abstract: "Sample responses with the interpreter, and judge them.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @Option(help: "Problems, one a line.") var input: String
  @Option(help: "Episodes, one a line.") var output: String
  @Option(help: "Responses a problem.") var samples = 1
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let problems = try Problem.readFile(input)
    let loaded = try LoadedModel.load(model)
    var configuration = try sampling.configuration(loaded)
    configuration.samplesPerPrompt = samples
    try configuration.validate(path: "options")
    let episodes = try Stage.generate(problems, loaded: loaded, configuration, context: sampling.threads.context())
    try EpisodeFile.write(episodes, to: output)
  }
}

struct Ask: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ask", abstract: "One problem on the terminal: reasoning, code and outputs as they come.")
  @Argument(help: "A model file, run folder or Hugging Face folder.") var model: String
  @Argument(help: "The problem.") var problem: String
  @OptionGroup var sampling: SamplingArguments

  func run() throws {
    let loaded = try LoadedModel.load(model)
    let configuration = try sampling.configuration(loaded)
    let colours = isatty(1) == 1
    let context = StageContext(
      threads: sampling.threads.threads, isCancelled: { Signals.isRaised },
      onEvent: { if case .warning(let text) = $0 { Console.error(text) } })
    let episodes = try Stage.generate(
      [Problem(id: "ask", problem: problem, gold: "")], loaded: loaded, configuration, context: context
    ) { author, text in
      let (start, end) =
        !colours
        ? ("", "")
        : author == .tool ? ("\u{1B}[36m", "\u{1B}[0m") : author == .hint ? ("\u{1B}[33m", "\u{1B}[0m") : ("", "")
      FileHandle.standardOutput.write(Data((start + text + end).utf8))
    }
    Console.out("")
    if let answer = episodes.first?.answer { Console.out("Answer: \(answer)") }
  }
}
