import ArgumentParser
import Foundation
import Rollout
import Support
import Training

extension Augmentation.Method: ExpressibleByArgument {}

struct Augment: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "augment", abstract: "Make new problems from a file of problems.",
    discussion: """
      A model changes numbers, words or concepts, and solves what it wrote; or a template's program does. A problem is
      kept where responses agree on its answer, one of them by executed code, and where no file of --against shares a
      run of words with it. The same command goes on where it was ended.
      """)
  @Argument(help: "The model that writes and solves; none for the method template.") var model: InputPath?
  @OptionGroup var adapter: AdapterOption
  @OptionGroup var files: LineFiles
  @Option(parsing: .upToNextOption, help: "How new problems are made.")
  var method: [Augmentation.Method] = [.numbers, .wording, .concepts]
  @Option(help: "New problems for each problem, by each method.") var perProblem = 1
  @Option(help: "Responses to each new problem.") var samples = 4
  @Option(help: "Responses that must agree on the answer.") var agree = 3
  @Option(
    parsing: .upToNextOption, help: ArgumentHelp("Files of test problems to keep clear of.", valueName: "file"),
    completion: .file())
  var against: [InputPath] = []
  @Option(help: "Words in a row that a problem may not share with a test problem.") var words = 13
  @OptionGroup var sampling: SamplingArguments

  func validate() throws {
    guard perProblem >= 1, samples >= 1, words >= 1 else {
      throw ValidationError("--per-problem, --samples and --words must be 1 or more")
    }
    guard (1...samples).contains(agree) else { throw ValidationError("--agree must be from 1 to --samples") }
    guard !method.contains(.template) || method == [.template] else {
      throw ValidationError("--method template reads lines of its own, so it stands alone")
    }
    if model == nil, adapter.adapter != nil { throw ValidationError("--adapter needs the model that it adapts") }
    if model == nil, method != [.template] { throw ValidationError("name the model, or give --method template") }
    if model != nil, method == [.template] { throw ValidationError("--method template uses no model; leave it out") }
  }

  func run() throws {
    var settings = Augmentation.Settings()
    settings.methods = method
    (settings.perProblem, settings.samples, settings.agree) = (perProblem, samples, agree)
    (settings.words, settings.seed) = (words, sampling.seed)
    settings.against = try against.map { try $0.path() }
    let input = try files.input.path()
    // A place that cannot be written shows before the work, not after it.
    try JSONLinesFile(files.output, appending: true).close()
    let context = sampling.threads.context(saves: true)
    let made: Augmentation
    if let model {
      var configuration = try sampling.configuration(samples: samples, skipsOverlong: true)
      if configuration.prompt.instruction.isEmpty {
        configuration.prompt.instruction =
          "Calculate with Python, in a ```python block, and put the final answer within \\boxed{}."
      }
      let loaded = try LoadedModel.load(model.path(), adapter: adapter.path(), valueHead: false, pool: context.pool)
      made = try Augmentation.withModel(loaded, input, settings, configuration, to: files.output, context: context)
    } else {
      made = try Augmentation.fromTemplates(input, settings, to: files.output, context: context)
    }
    Console.note("\(files.output): \(made.summary)")
  }
}
