import Foundation
import Reports
import Rollout
import Support

/// The problems of a stage: those of its files, then those of its task (`task.command`).
struct StageProblems {
  /// Of `data` and `task.count`: to sample responses to.
  let given: [PlacedProblem]
  /// Of `eval_data` and `task.eval_count`.
  let heldOut: [PlacedProblem]
  /// Scores the responses to problems of the task; nil: none is scored by a program.
  let scorer: TaskScorer?

  /// Reads the files, and asks the task for what the run's folder does not hold yet.
  /// - Parameters:
  ///   - files: of the given problems; nil: only those held out are wanted.
  ///   - heldOutFiles: of the problems held out.
  ///   - folder: of the run; nil: there is none, and the task is asked for all.
  /// - Throws: `MartletError`: data for files; configuration that names the task's program and the problem;
  ///   `Interrupted` when asked to stop.
  init(
    _ files: [String]?, heldOut heldOutFiles: [String] = [], _ configuration: Configuration, folder: RunFolder?,
    context: StageContext
  ) throws {
    let tape = configuration.taskProgram.map {
      TaskTape(program: $0, folder: folder, configuration: configuration, context: context)
    }
    let read = try files.map { $0.isEmpty && tape != nil ? [] : try Stage.problems($0, key: "data") } ?? []
    let readHeldOut = heldOutFiles.isEmpty ? [] : try Stage.problems(heldOutFiles, key: "eval_data")
    let made = try tape?.problems() ?? []
    scorer = try tape?.scorer(made)
    let ids = Set((read + readHeldOut).map(\.problem.id))
    if let tape, let twice = made.first(where: { ids.contains($0.problem.id) }) {
      throw tape.program.fault(
        "problem \(twice.index)", "its id, \(twice.problem.id), is also that of a problem in data or eval_data")
    }
    let placed = made.map { PlacedProblem(problem: $0.problem, place: "task.command: problem \($0.index)") }
    given = read + placed.prefix(configuration.task.count)
    heldOut = readHeldOut + placed.dropFirst(configuration.task.count)
  }
}

/// What a task's program was asked for and answered: `task.jsonl` in the run's folder. A run that was ended in any way
/// asks for no problem again.
struct TaskTape {
  let program: TaskProgram
  /// nil: nothing is kept.
  let folder: RunFolder?
  let configuration: Configuration
  let context: StageContext

  /// All problems of the task, by index.
  func problems() throws -> [TaskProblem] {
    let count = configuration.task.count + configuration.task.evalCount
    guard let folder else { return try ask(count, journal: nil) }
    let path = folder.file("task.jsonl")
    if exists(path) {
      let problems = try JSONLines.read(path, as: TaskProblem.self)
      guard problems.map(\.index) == Array(0..<count) else {
        throw MartletError(
          .data, "\(path): does not hold the problems 0 to \(count - 1), each on its line; restore it from a copy")
      }
      return problems
    }
    let journal = try folder.journal("task.log", resume: context.resume)
    defer { journal.close() }
    let problems = try ask(count, journal: journal)
    try JSONLines.write(problems, to: path)
    unlink(folder.file("journal/task.log"))
    return problems
  }

  /// Asks for the problems that the journal lacks.
  private func ask(_ count: Int, journal: Journal?) throws -> [TaskProblem] {
    var problems = try journal?.records.map { try JSONDecoder().decode(TaskProblem.self, from: $0) } ?? []
    let isBegun = !problems.isEmpty
    var ids: [String: Int] = [:]
    for problem in problems { ids[problem.problem.id] = problem.index }
    while problems.count < count {
      try context.checkCancelled()
      let made = try program.problem(problems.count)
      if let first = ids.updateValue(made.index, forKey: made.problem.id) {
        throw program.fault("problem \(made.index)", "has the id of problem \(first), \(made.problem.id)")
      }
      try journal?.append(JSONEncoder().encode(made))
      problems.append(made)
      context.onEvent(
        .progress(Progress(what: "asking the task", done: problems.count, total: count, unit: "problems", rate: nil)))
    }
    // Asked twice on purpose, once a run: a program that draws afresh each time would make no run that can be repeated.
    if !isBegun, let first = problems.first, try program.problem(first.index) != first {
      throw program.inconsistency("problem \(first.index)")
    }
    try journal?.sync()
    return problems
  }

  /// nil: the program scores nothing.
  /// - Throws: `MartletError` (configuration) where `grader.command` would judge too.
  func scorer(_ problems: [TaskProblem]) throws -> TaskScorer? {
    guard let scored = problems.first(where: \.scored) else { return nil }
    guard configuration.grader.command.isEmpty else {
      throw program.fault(
        "problem \(scored.index)", "the program scores its responses, and so would grader.command; remove one of them")
    }
    return TaskScorer(program, problems, probes: !context.resume)
  }
}

/// Asks a task's program for the scores of responses to its problems.
final class TaskScorer {
  private let program: TaskProgram
  private let index: [String: Int]
  /// Whether the next response is asked about twice.
  private var probes: Bool

  init(_ program: TaskProgram, _ problems: [TaskProblem], probes: Bool) {
    self.program = program
    index = Dictionary(
      problems.filter(\.scored).map { ($0.problem.id, $0.index) }, uniquingKeysWith: { first, _ in first })
    self.probes = probes
  }

  /// Whether the program scores responses to the problem.
  func scores(_ id: String) -> Bool { place(id) != nil }

  /// The index of a problem. One that comes twice in a step has a number behind its id.
  private func place(_ id: String) -> Int? {
    if let place = index[id] { return place }
    guard let mark = id.lastIndex(of: "#"), id[id.index(after: mark)...].allSatisfy(\.isNumber) else { return nil }
    return index[String(id[..<mark])]
  }

  /// The score of a response.
  /// - Parameter response: as `reward.command` is given it.
  /// - Throws: `MartletError` (configuration) that names the program, the problem, the sample and what was wrong.
  func score(_ episode: Episode, response: JSONValue) throws -> TaskScore? {
    guard let place = place(episode.id) else { return nil }
    let what = "problem \(place) (\(episode.id)), sample \(episode.sample)"
    let score = try program.score(place, response: response, what: what)
    if probes, try program.score(place, response: response, what: what) != score { throw program.inconsistency(what) }
    probes = false
    return score
  }
}

extension Configuration {
  /// The program of `task.command`; nil: there is none.
  var taskProgram: TaskProgram? {
    taskCommand.map {
      TaskProgram(
        $0, python: interpreter.python, slowRemedy: "raise task.time_limit and go on with --resume",
        remedy: "go on with --resume, which asks nothing twice, or mend the program and start a new run")
    }
  }

  var taskCommand: ProgramCommand? {
    guard !task.command.isEmpty else { return nil }
    return ProgramCommand(key: "task.command", words: task.command, timeLimit: task.timeLimit)
  }

  /// Whether a training stage evaluates its model.
  var evaluates: Bool { !evalData.isEmpty || task.evalCount > 0 }
}
