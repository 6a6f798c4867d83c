import ArgumentParser
import Foundation
import Reports
import Rollout
import Support
import Tokenization
import Training

struct Diagnose: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diagnose", abstract: "Show what a model could learn from its rewards, before it trains.",
    discussion: """
      Samples responses as the stage of a configuration would, or reads episodes.
      train diagnose rl.yaml --samples 8 --teaching teaching.jsonl
      train diagnose demo/hint-rl
      """)
  @Argument(
    help: ArgumentHelp(
      "A configuration (YAML) of rl, rft or eval; a file of episodes; or a run that has some.", valueName: "source"),
    completion: .file())
  var source: InputPath
  @Option(help: "Problems to ask of a configuration's data; 0 for all. 64 if not given.") var problems: Int?
  @Option(help: "Responses to each; the configuration's samples_per_prompt if not given.") var samples: Int?
  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("A value to use instead of the configuration's. May be repeated.", valueName: "key.path=value"))
  var overrides: [String] = []
  @Option(help: "The stage that the configuration is for, where it does not say so itself.") var stage: StageKind?
  @Option(help: ArgumentHelp("A file to write the sampled episodes to.", valueName: "file"), completion: .file())
  var output: String?
  @Option(
    help: ArgumentHelp("A file to write the problems to that are solved sometimes.", valueName: "file"),
    completion: .file())
  var teaching: String?
  @Option(help: "The model that wrote the episodes; that of their run if not given.") var model: InputPath?
  @Flag(help: "Print one JSON object.") var json = false
  @Option(help: "Whether to colour the text.") var color: ColourChoice = .auto
  @OptionGroup var threads: Threads

  private var isConfiguration: Bool { source.name.hasSuffix(".yaml") || source.name.hasSuffix(".yml") }

  func validate() throws {
    if let problems, problems < 0 { throw ValidationError("--problems must be 0 or more") }
    if let samples, samples < 1 { throw ValidationError("--samples must be at least 1") }
    let sampling: [(String, Bool)] = [
      ("--problems", problems != nil), ("--samples", samples != nil), ("--set", !overrides.isEmpty),
      ("--stage", stage != nil), ("--output", output != nil),
    ]
    if !isConfiguration, let extra = sampling.first(where: \.1) {
      throw ValidationError("\(extra.0) goes with a configuration; \(source.name) is read as episodes")
    }
    if isConfiguration, model != nil { throw ValidationError("--model goes with episodes; --set model=... changes it") }
    for path in [output, teaching].compactMap(\.self) { try LineFiles.refuseSame(source, path) }
    if let output, output == teaching { throw ValidationError("--output and --teaching name the same file") }
  }

  func run() throws {
    // A place that cannot be written shows before the work, not after it.
    for path in [output, teaching].compactMap(\.self) { try JSONLinesFile(path, appending: true).close() }
    let (episodes, problems, tokenizer) = try isConfiguration ? sampled() : read()
    let diagnosis = Diagnosis(episodes) { episode in
      tokenizer.map { episode.segments($0).filter { $0.author != .prompt }.map(\.text).joined() } ?? ""
    }
    if let output { try EpisodeFile.write(episodes, to: output) }
    if let teaching {
      let chosen = Set(diagnosis.teaching.map(\.id))
      try JSONLines.write(problems.filter { chosen.contains($0.id) }, to: teaching)
    }
    let isColoured = color == .auto ? Terminal.output.hasColour : color == .always
    Console.out(json ? try oneLine(diagnosis) : DiagnosisText(diagnosis: diagnosis, isColoured: isColoured).text)
    for path in [output, teaching].compactMap(\.self) { Console.note("\(path) is written") }
  }

  private func sampled() throws -> ([Episode], [Problem], Tokenizer?) {
    let path = try source.path()
    guard case .stage(let kind) = try ConfigurationKind.of(path, overrides: overrides, stage: stage) else {
      throw MartletError(.configuration, "\(path): holds several stages; give the configuration of one")
    }
    let configuration = try Configuration.load(path, overrides: overrides, stage: kind)
    try configuration.requirePrograms()
    for warning in configuration.warnings(stage: kind) { Console.warning("\(path): \(warning)") }
    let probe = try Probe(
      configuration, kind, problems: problems ?? 64, samples: samples, context: threads.context(saves: false))
    return (probe.episodes, probe.problems, probe.tokenizer)
  }

  private func read() throws -> ([Episode], [Problem], Tokenizer?) {
    let path = try source.episodes()
    let episodes = try EpisodeFile.read(path, needsLogProbs: false)
    guard episodes.contains(where: { $0.verdict != nil }) else {
      throw MartletError(
        .data, "\(path): no episode has a verdict, so nothing tells right from wrong; eval --regrade gives verdicts")
    }
    let tokenizer = try reader(path)
    for (index, episode) in episodes.enumerated() { try tokenizer?.check(episode, place: "\(path):\(index + 1)") }
    var seen = Set<String>()
    let problems = episodes.filter { $0.gold != nil && seen.insert($0.id).inserted }.map {
      Problem(id: $0.id, problem: $0.problem, gold: $0.gold ?? "")
    }
    return (episodes, problems, tokenizer)
  }

  /// The tokenizer of the episodes; nil: nothing says which it is, and only the examples' text needs it.
  private func reader(_ path: String) throws -> Tokenizer? {
    do {
      return try Tokenizer.of(episodes: path, model: model)
    } catch let error as MartletError where error.status == .usage {
      Console.note("\(error.message); the examples have no text")
      return nil
    }
  }
}
