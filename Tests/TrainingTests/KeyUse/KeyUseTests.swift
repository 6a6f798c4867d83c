import Foundation
import PPO
import Rollout
import Support
import Tensor
import Testing

@testable import Training

/// Every key of the decoder, in every stage: it changes what comes of a run, or it is refused by name.
@Suite(.serialized) struct KeyUseTests {
  let bench: StageBench

  init() throws { bench = try StageBench() }

  /// A value for a key, with the settings that let it act.
  struct Change: CustomTestStringConvertible, Sendable {
    let key, value: String
    /// Settings without which a key does nothing: it must be refused then.
    let needs: [String]
    /// What makes its effect show in a small run, by stage.
    let shows: [StageKind: [String]]
    var testDescription: String { key }

    init(_ key: String, _ value: String, needs: [String] = [], shows: [StageKind: [String]] = [:]) {
      (self.key, self.value, self.needs, self.shows) = (key, value, needs, shows)
    }
  }

  /// Keys whose effect is another than on a run's results, and which.
  static let otherwise: [String: Observed] = [
    "stage": .elsewhere("it is compared with the command: ConfigurationKindTests"),
    "run": .elsewhere("it names the folder"),
    "slots": .plan, "recompute": .plan,
    "ranks": .elsewhere("the gradients are the same for any number: LearnerTests.ranksDoNotMatter"),
    "interpreter.python": .elsewhere("another Python gives the same results; one that is not there fails"),
    "hint.distrust": .elsewhere("a trace that doubts Python is rare: HintFinderTests"),
    "test_hints.hesitation": .elsewhere("a response that hesitates is rare here: TestTimeHintTests"),
    "new_model.shape.begin_token": .elsewhere("it stands in the model's configuration, and so in exports"),
    "interpreter.readable": .elsewhere("no block of these runs reads a file: InterpreterReadableTests"),
    "loss.correction.kind": .elsewhere("it acts with --replay alone: ReplayTests"),
    "loss.correction.low": .elsewhere("as its kind"), "loss.correction.high": .elsewhere("as its kind"),
    "new_model.shape.value_head": .elsewhere("it is refused: gae makes one"),
  ]

  enum Observed: Sendable { case plan, elsewhere(String) }

  @Test func everyKeyHasARow() throws {
    let keys = Set(try Configuration.knownKeys().leaves.map(\.path))
    let lost = keys.filter { KeyUse.of($0) == nil }
    #expect(lost.isEmpty, "add a row to KeyUse+Table.swift for \(lost.sorted())")
    let tested = Set(Self.changes.map(\.key)).union(Self.otherwise.keys)
    #expect(keys.subtracting(tested).isEmpty, "add a change to KeyUseTests+Changes.swift for each")
    #expect(tested.subtracting(keys).isEmpty, "no keys any more")
    let sections = Set(keys.flatMap { key in key.indices.filter { key[$0] == "." }.map { String(key[..<$0]) } })
    let rows = KeyUse.table.flatMap(\.keys)
    #expect(Set(rows).count == rows.count && Set(rows).subtracting(keys.union(sections)).isEmpty)
  }

  @Test(arguments: changes) func aKeyActsOrIsRefused(change: Change) throws {
    var acts = false
    for stage in StageKind.allCases { acts = try isUsed(change, by: stage) || acts }
    if case .elsewhere? = Self.otherwise[change.key] { return }
    let reasons = try StageKind.allCases.map { stage in
      let settings = change.needs + change.shows[stage, default: []] + ["\(change.key)=\(change.value)"]
      return try bench.check(stage, settings) ?? "\(stage): taken"
    }
    #expect(acts, "\(change.key): no stage takes it: \(reasons)")
  }

  /// - Returns: whether the stage takes the key; that it then acts is checked.
  private func isUsed(_ change: Change, by stage: StageKind) throws -> Bool {
    let setting = "\(change.key)=\(change.value)"
    if !change.needs.isEmpty {
      let outcome = try bench.check(stage, [setting])
      #expect(outcome != nil, "\(stage) takes \(setting) without \(change.needs)")
      expectNamed(change.key, in: outcome ?? change.key, stage)
    }
    let settings = change.needs + change.shows[stage, default: []]
    // Where the needs themselves are not of this stage, neither is the key.
    guard try bench.check(stage, settings) == nil else {
      let outcome = try bench.check(stage, [setting])
      #expect(outcome != nil, "\(stage) refuses \(settings), but takes \(setting)")
      return false
    }
    return try takes(setting, settings, stage)
  }

  private func expectNamed(_ key: String, in message: String, _ stage: StageKind) {
    let section = key.prefix { $0 != "." }
    let isNamed =
      key.split(separator: ".").allSatisfy { message.contains($0) } || message.contains(": \(section): ")
      // A part of `new_model` alone lacks the others.
      || (section == "new_model" && message.contains(": new_model"))
    #expect(isNamed, "\(stage) refuses \(key) without naming it: \(message)")
  }

  private func takes(_ setting: String, _ needs: [String], _ stage: StageKind) throws -> Bool {
    let key = String(setting.prefix { $0 != "=" })
    switch (try bench.run(stage, needs), try bench.run(stage, needs + [setting])) {
    case (_, .refused(let message)):
      expectNamed(key, in: message, stage)
      return false
    case (.ran(let result, let plan), .ran(let changed, let changedPlan)):
      switch Self.otherwise[key] {
      case .elsewhere?: break
      case .plan?:
        let (isPlanned, isSame) = (plan != changedPlan, result == changed)
        #expect(isPlanned, "\(stage) takes \(setting), and plans the same with \(needs)")
        #expect(isSame, "\(stage): \(key) is said to change no result")
      case nil:
        let acts = result != changed
        #expect(acts, "\(stage) takes \(setting), which changes nothing with \(needs): \(result.prefix(300))")
      }
      return true
    case (.refused, .ran): return true
    }
  }

  /// Every key of the loss with every loss and every advantage.
  @Test(
    arguments: LossKind.allCases.filter { $0 != .sft }.map { "loss.kind=\($0.rawValue)" }
      + AdvantageKind.allCases.map { "loss.advantage=\($0.rawValue)" })
  func lossKeysActOrAreRefused(setting: String) throws {
    var needs = [setting]
    if setting.hasSuffix("distillation") { needs.append("teacher=$other.h5") }
    // Rewards above 0, and greedy answers that end early.
    if setting.hasSuffix("max_rl") { needs += ["reward.code_penalty=1", "reward.code_penalty_without_code=true"] }
    // The better one of two, where they differ.
    if setting.hasSuffix("pass_k") { needs += ["prompts_per_step=6", "samples_per_prompt=2", "steps=3"] }
    if setting.hasSuffix("remax") { needs += ["model=$other.h5", "data=$held.jsonl"] }
    for change in Self.changes where change.key.hasPrefix("loss.") && Self.otherwise[change.key] == nil {
      guard change.key != "loss.kind", change.key != "loss.advantage" else { continue }
      // What it needs besides, where that does not contradict the setting; some show with a larger model alone.
      let key = setting.prefix { $0 != "=" }
      let shows = change.shows[.rl, default: []]
      let settings = needs + (change.needs + shows).filter { !$0.hasPrefix(key + "=") }
      guard !shows.contains(where: { $0.hasPrefix("model=") }), try bench.check(.rl, settings) == nil else { continue }
      _ = try takes("\(change.key)=\(change.value)", settings, .rl)
    }
  }
}
