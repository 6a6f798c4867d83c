import Checkpoint
import Foundation
import PPO
import Rollout
import Support
import Tensor
import Testing
import Transformer

@testable import Training

/// `rl --replay` on episodes whose log-probs are another sampler's.
@Suite(.serialized) struct ReplayTests {
  let bench: StageBench

  init() throws { bench = try StageBench() }

  /// The weights after a replay of the bench's episodes, their rewards 1 and 0 in turn.
  /// - Parameter shift: how far their log-probs are off: for each ten tokens one by 1.5 times as much, one by -0.4
  ///   times.
  private func weights(_ correction: CorrectionSettings, shift: Float) throws -> String {
    var episodes = try EpisodeFile.read(bench.file("episodes.jsonl"))
    for (index, place) in episodes.indices.enumerated() {
      episodes[place].reward = .init(total: Double(index % 2))
      for token in episodes[place].logProbs.indices {
        episodes[place].logProbs[token]? -= shift * (token % 10 == 0 ? 1.5 : token % 10 == 5 ? -0.4 : 0)
      }
    }
    let path = bench.file("replayed.jsonl")
    try EpisodeFile.write(episodes, to: path)
    var configuration = Configuration()
    configuration.run = bench.file("replay")
    configuration.model = TrainProgram.root + "/configs/demo/base.h5"
    configuration.optimizer.learningRate = 1e-3
    configuration.optimizer.kind = .sgd
    configuration.loss.kind = .reinforce
    configuration.loss.correction = correction
    try Stage.replay(path, StageRequest(.rl, configuration), context: StageContext(threads: 1))
    defer { try? FileManager.default.removeItem(atPath: configuration.run) }
    return try weightsHash(ModelFile.read(configuration.run + "/model.h5").model)
  }

  @Test func everyCorrectionChangesTheResultWhereSamplersDiffer() throws {
    // By token the weights are 4.5 and 0.7, by response about 1.4.
    let shifts: [CorrectionKind: Float] = [.tisToken: 1, .icepopToken: 1, .tisSequence: 0.03, .icepopSequence: 0.03]
    var found: Set<String> = []
    for kind in CorrectionKind.allCases where kind != .none {
      let shift = try #require(shifts[kind])
      let hash = try weights(CorrectionSettings(kind, high: 1.2), shift: shift)
      #expect(try weights(CorrectionSettings(), shift: shift) != hash, "\(kind)")
      let wide = try weights(CorrectionSettings(kind, high: 5), shift: shift)
      #expect(wide != hash, "\(kind): high")
      // The policy's own log-probs: all factors are 1.
      #expect(try weights(CorrectionSettings(kind), shift: 0) == weights(CorrectionSettings(), shift: 0), "\(kind)")
      if kind.hasLowerBound {
        #expect(try weights(CorrectionSettings(kind, low: 4, high: 5), shift: shift) != wide, "\(kind): low")
      }
      found.insert(hash)
    }
    #expect(found.count == 4)
  }

  @Test func episodesWithoutRewardsAreRefused() throws {
    var episodes = try EpisodeFile.read(bench.file("episodes.jsonl"))
    for place in episodes.indices { episodes[place].reward = nil }
    try EpisodeFile.write(episodes, to: bench.file("bare.jsonl"))
    var configuration = Configuration()
    configuration.run = bench.file("bare")
    configuration.model = TrainProgram.root + "/configs/demo/base.h5"
    let error = #expect(throws: MartletError.self) {
      try Stage.replay(bench.file("bare.jsonl"), StageRequest(.rl, configuration), context: StageContext(threads: 1))
    }
    #expect(error?.status == .data && error?.message.contains("no episode has a reward") == true)
  }

  /// An episode by hand: a prompt and then parts of text, of which a tool's begin with "> ".
  private typealias Made = (id: String, parts: [String], isRight: Bool, failures: Int)

  /// The metrics of a replay of `episodes`.
  private func replay(
    _ episodes: [Made], _ change: (inout Configuration) -> Void
  ) throws -> [String: Any] {
    let base = TrainProgram.root + "/configs/demo/base.h5"
    let tokenizer = try LoadedModel.load(base).tokenizer
    var samples: [String: Int] = [:]
    try EpisodeFile.write(
      episodes.map { made in
        var tokens = tokenizer.encode("2 + 2?\n")
        var authors = [Episode.Run(author: .prompt, count: tokens.count)]
        for part in made.parts {
          let isTool = part.hasPrefix("> ")
          let new = tokenizer.encode(isTool ? String(part.dropFirst(2)) : part)
          tokens += new
          authors.append(.init(author: isTool ? .tool : .model, count: new.count))
        }
        var episode = Episode(
          id: made.id, sample: samples[made.id, default: 0], tokens: tokens, authors: authors,
          logProbs: authors.byToken.map { $0 == .model ? -1 : nil })
        samples[made.id, default: 0] += 1
        (episode.tools, episode.gold, episode.finish) = (.python, "4", .length)
        episode.verdict = made.isRight ? .correct : .incorrect
        episode.reward = .init(total: made.isRight ? 1 : 0)
        episode.calls = (0..<made.failures).map { _ in
          Episode.Call(code: "x", status: .error, detail: "", output: "", ms: 0)
        }
        return episode
      }, to: bench.file("made.jsonl"))
    var configuration = Configuration()
    configuration.run = bench.file("made")
    configuration.model = base
    change(&configuration)
    defer { try? FileManager.default.removeItem(atPath: configuration.run) }
    try Stage.replay(bench.file("made.jsonl"), StageRequest(.rl, configuration), context: StageContext(threads: 1))
    let line = try String(contentsOfFile: configuration.run + "/metrics.jsonl", encoding: .utf8)
    return try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
  }

  /// Two groups. In the first two of four responses are void, in the second all rewards are equal.
  @Test func voidTurnsLeaveTheLoss() throws {
    let (right, void) = ("So it is \\boxed{4}", "So it is four")
    let call = ["```python\nprint(4)\n```\n", "> ```output\n4\n```\n"]
    let episodes: [Made] = [
      ("a", [right], true, 0), ("a", [void], false, 0), ("a", call + [right], false, 0), ("a", call + [void], true, 0),
      ("b", [right], true, 0), ("b", [right], true, 0),
    ]
    let plain = try replay(episodes) { _ in }
    #expect(plain["masked"] as? Int == 0 && plain["skipped"] as? Int == 2)
    let masked = try replay(episodes) { $0.groups.maskVoid = true }
    #expect(masked["masked"] as? Int == 2 && masked["skipped"] as? Int == 4)
    let (all, left) = (plain["trained_tokens"] as? Int ?? 0, masked["trained_tokens"] as? Int ?? 0)
    #expect(left < all && left > 0 && masked["state_hash"] as? String != plain["state_hash"] as? String)
    let truncated = try replay(episodes) { $0.groups.maskTruncated = true }
    #expect(truncated["masked"] as? Int == 6 && truncated["trained_tokens"] as? Int == 0)
    #expect(truncated["grad_norm"] as? Double == 0)
  }

  /// Of four responses two are kept: of the right ones the one without a failed call, of the wrong ones the first. A
  /// replay of these two alone is the same update.
  @Test func cleanSuccessesAreChosen() throws {
    let episodes: [Made] = [
      ("a", ["a"], true, 2), ("a", ["b"], false, 3), ("a", ["c"], true, 0), ("a", ["d"], false, 0),
    ]
    let chosen = try replay(episodes) { ($0.groups.cleanSuccesses, $0.samplesPerPrompt) = (true, 2) }
    let alone = try replay([episodes[1], episodes[2]]) { _ in }
    #expect(chosen["left_out"] as? Int == 2 && alone["left_out"] == nil)
    #expect(chosen["state_hash"] as? String == alone["state_hash"] as? String && chosen["state_hash"] != nil)
    let all = try replay(episodes) { _ in }
    #expect(all["state_hash"] as? String != alone["state_hash"] as? String)
  }

  /// The mean of what the base gives the tools' tokens, from its own log-probs of them.
  @Test func whatToolsReturnedIsLearnt() throws {
    let episodes: [Made] = [("a", ["```python\nprint(4)\n```\n", "> ```output\n4\n```\n", "So"], true, 0)]
    let found = try replay(episodes) { $0.loss.observationCoef = 0.1 }
    let loaded = try LoadedModel.load(TrainProgram.root + "/configs/demo/base.h5")
    let parts = ["2 + 2?\n"] + [episodes[0].parts[0], "```output\n4\n```\n", "So"]
    let tokens = parts.map { loaded.tokenizer.encode($0) }
    let pass = TrainingPass(model: loaded.model, gradients: nil, matmul: .mixed, pool: WorkerPool(threadCount: 1))
    pass.forward(PackedTokens([tokens.flatMap(\.self)]))
    let start = tokens[0].count + tokens[1].count
    let targets = tokens[2].indices.map { Target(row: start + $0 - 1, token: tokens[2][$0]) }
    let mean = -pass.score(targets).logProbs.reduce(0.0) { $0 + Double($1) } / Double(targets.count)
    #expect(abs((found["observation_loss"] as? Double ?? 0) - mean) < 1e-12 && mean > 0)
    #expect(try replay(episodes) { _ in }["observation_loss"] == nil)
  }

  /// One problem, asked for again when its group shows nothing: each time with other draws, which a step never repeats.
  @Test func aRefillDrawsAnew() throws {
    try bench.folder.write("{\"id\": \"one\", \"problem\": \"What is 1 + 1?\", \"gt_answer\": \"2\"}\n", "one.jsonl")
    for prompts in [1, 2] {
      let outcome = try bench.run(
        .rl, ["data=$one.jsonl", "prompts_per_step=\(prompts)", "groups.refill=3", "steps=1", "sampling.max_tokens=30"])
      guard case .ran(let result, _) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      let lines = result.split(separator: "\n").filter { $0.hasPrefix("{\"id\"") }
      let texts = try lines.map { line -> String in
        let episode = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let tokens = try #require(episode["tokens"] as? [Int])
        return "\(tokens)"
      }
      #expect(texts.count == 3 * 4 * prompts && Set(texts).count > texts.count * 3 / 4, "\(Set(texts).count) differ")
      let ids = Set(lines.compactMap { $0.split(separator: "\"").dropFirst(3).first }.map(String.init))
      #expect(ids.count == 3 * prompts, "\(ids)")
    }
  }

  /// Rewards that are all equal are said before hours are spent on them.
  @Test func aFirstStepWithoutASignalIsWarnedOf() throws {
    func log(_ changes: [String]) throws -> String {
      guard case .ran(let result, _) = try bench.run(.rl, changes) else { return "refused" }
      return result
    }
    let warning = "the first step has nothing to learn from: "
    // Random weights are never right.
    let equal = try log(["reward.overlong_buffer=0"])
    #expect(equal.contains(warning + "all 2 groups have equal rewards (problems never right 2, always 0)"), "\(equal)")
    #expect(equal.contains("no problem was solved") && equal.components(separatedBy: warning).count == 2)
    let batch = try log(["reward.overlong_buffer=0", "loss.advantage=reinforce_plus_plus"])
    #expect(batch.contains(warning + "all 8 responses have the same reward"))
    // The length tells them apart; a teacher needs no rewards.
    #expect(try !log([]).contains(warning))
    #expect(try !log(["reward.overlong_buffer=0", "teacher=$other.h5"]).contains(warning))
  }

  /// What only the data can tell is said by the stage.
  @Test func examplesThatASettingCannotActOnAreNamed() throws {
    func log(_ changes: [String]) throws -> String {
      guard case .ran(let result, _) = try bench.run(.sft, changes) else { return "refused" }
      return result
    }
    let (authors, prompt) = ("train_authors: no example has a token of hint", "the section prompt does nothing")
    #expect(try log(["train_authors=[model, hint]", "data=$mix.jsonl"]).contains(authors))
    #expect(try !log(["train_authors=[model, hint]"]).contains(authors))
    #expect(try log(["prompt.template=chatml", "data=$episodes.jsonl"]).contains(prompt))
    #expect(try !log(["prompt.template=chatml"]).contains(prompt))
    #expect(try !log(["data=$episodes.jsonl"]).contains(prompt))
  }

  @Test func idsAreToldApartWhateverTheyAre() throws {
    var ids = DistinctIds(separator: "#")
    let made = ["a", "a#2", "a", "b", "a", "a#2"].map { ids.distinct(Problem(id: $0, problem: "", gold: "")).id }
    #expect(made == ["a", "a#2", "a#3", "b", "a#4", "a#2#2"])
  }
}
