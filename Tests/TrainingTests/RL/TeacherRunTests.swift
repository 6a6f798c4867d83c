import Checkpoint
import Foundation
import PPO
import Rollout
import Support
import Tensor
import Testing
import Tokenization
import Transformer

@testable import Training

/// Runs with a teacher, on given episodes and on its own responses.
@Suite(.serialized) struct TeacherRunTests {
  let bench: StageBench
  private let context = StageContext(threads: 1)
  private let base = TrainProgram.root + "/configs/demo/base.h5"

  init() throws { bench = try StageBench() }

  /// One update on episodes whose old log-probs are another model's.
  private func replay(
    _ episodes: [Episode], _ change: (inout Configuration) -> Void
  ) throws -> (metrics: [String: Double], weights: String) {
    try EpisodeFile.write(episodes, to: bench.file("given.jsonl"))
    var configuration = Configuration()
    (configuration.run, configuration.model, configuration.teacher) = (bench.file("run"), bench.file("tiny.h5"), base)
    (configuration.optimizer.kind, configuration.optimizer.learningRate) = (.sgd, 1e-3)
    configuration.optimizer.maxGradNorm = 0
    configuration.loss.advantage = .distillation
    change(&configuration)
    defer { try? FileManager.default.removeItem(atPath: configuration.run) }
    try Stage.replay(bench.file("given.jsonl"), StageRequest(.rl, configuration), context: context)
    let line = try Data(contentsOf: URL(fileURLWithPath: configuration.run + "/metrics.jsonl"))
    let values = try #require(try JSONSerialization.jsonObject(with: line) as? [String: Any])
    return (
      values.compactMapValues { ($0 as? NSNumber)?.doubleValue },
      try weightsHash(ModelFile.read(configuration.run + "/model.h5").model)
    )
  }

  /// All log-probs of the model at `path` before each of the model's tokens.
  private func distributions(_ path: String, _ episode: Episode, places: [Int]) throws -> [[Double]] {
    let model = try ModelFile.read(path).model
    let V = model.configuration.vocabularySize
    let pass = TrainingPass(model: model, gradients: nil, matmul: .mixed, pool: context.pool)
    pass.forward(PackedTokens([episode.tokens]))
    let temperature = try #require(episode.sampling?.temperature)
    let targets = places.flatMap { place in
      (0..<Int32(V)).map { Target(row: place - 1, token: $0, temperature: temperature) }
    }
    let found = pass.score(targets).logProbs.map(Double.init)
    return places.indices.map { Array(found[$0 * V..<($0 + 1) * V]) }
  }

  /// An episode of several turns, cut short: the model's tokens and their places.
  private func given() throws -> (episode: Episode, places: [Int], turns: [[Int]]) {
    let episodes = try EpisodeFile.read(bench.file("episodes.jsonl"))
    var episode = try #require(
      episodes.filter { $0.authors.count { $0.author == .model } > 1 }.min { $0.tokens.count < $1.tokens.count })
    episode.reward = nil
    var (places, turns, position) = ([Int](), [[Int]](), 0)
    for run in episode.authors {
      let range = position..<position + run.count
      if run.author == .model {
        places += range
        turns.append(Array(range))
      }
      position = range.upperBound
    }
    // The teacher has sampled it: moved, so that both differ, and more in the first turn.
    for place in places { episode.logProbs[place]? -= 0.25 * Float(place % 7) + (turns[0].contains(place) ? 1 : 0) }
    return (episode, places, turns)
  }

  /// loss = -mean of c w_k (log q - log p_old) log p over the tokens, or mean of c w_k KL, the KL over the teacher's k
  /// likeliest tokens and the rest; worked out here from whole distributions.
  @Test func theLossesAreTheOnesByHand() throws {
    let (episode, places, turns) = try given()
    let own = try distributions(bench.file("tiny.h5"), episode, places: places)
    let taught = try distributions(base, episode, places: places)
    let old = try places.map { Double(try #require(episode.logProbs[$0])) }
    let tokens = places.map { Int(episode.tokens[$0]) }
    let gaps = places.indices.map { taught[$0][tokens[$0]] - old[$0] }
    func weights(_ cap: Double) -> [Double] {
      var next = 0
      let distances = turns.map { turn -> Double in
        defer { next += turn.count }
        return gaps[next..<next + turn.count].reduce(0) { $0 + abs($1) } / Double(turn.count)
      }
      return turns.indices.flatMap { k in
        turns[k].map { _ in cap == 0 ? 1 : min((distances[0] + 1e-6) / (distances[k] + 1e-6), cap) }
      }
    }
    func divergence(_ index: Int, _ k: Int) -> Double {
      let (p, q) = (own[index].map { exp($0) }, taught[index].map { exp($0) })
      let order = q.indices.sorted { (q[$1], $0) < (q[$0], $1) }
      func sum(_ values: [Double]) -> Double { order[k...].reduce(0) { $0 + values[$1] } }
      return order[..<k].reduce(k < p.count ? sum(p) * log(sum(p) / sum(q)) : 0) { $0 + p[$1] * log(p[$1] / q[$1]) }
    }
    #expect(turns.count > 1 && Set(weights(1e9)).count > 1)
    let cases: [(c: Double, cap: Double, k: Int)] = [
      (1, 0, 0), (0.5, 0, 0), (1, 1.001, 0), (1, 1e9, 0), (1, 0, 1), (0.5, 1e9, 6), (1, 0, 467),
    ]
    var seen: Set<String> = []
    for (c, cap, k) in cases {
      let (metrics, hash) = try replay([episode]) {
        ($0.loss.teacherCoef, $0.loss.teacherTurnCap, $0.loss.teacherTopK) = (c, cap, k)
        if k == 0 { $0.loss.kind = .reinforce }
      }
      let terms = places.indices.map { t in
        c * weights(cap)[t] * (k == 0 ? -gaps[t] * own[t][tokens[t]] : divergence(t, k))
      }
      let loss = terms.reduce(0, +) / Double(places.count)
      let found = try #require(metrics["loss"])
      #expect(abs(found - loss) < 1e-4 * abs(loss), "c \(c), cap \(cap), k \(k): \(found), by hand \(loss)")
      let kl = -gaps.reduce(0, +) / Double(gaps.count)
      #expect(abs(try #require(metrics["teacher_kl"]) - kl) < 1e-4 * abs(kl))
      #expect(metrics["advantage_share"] == 1 && metrics["trained_tokens"] == Double(places.count))
      seen.insert(hash)
    }
    #expect(seen.count == cases.count)
  }

  @Test func theDivergenceIsTheSameHoweverABatchIsCut() throws {
    let episode = try given().episode
    let found = try [8, 4096].map { tokens in
      try replay([episode, episode]) {
        ($0.loss.teacherTopK, $0.loss.teacherCoef, $0.matmul, $0.microBatchTokens) = (5, 0.5, .exact, tokens)
      }.weights
    }
    #expect(try found[0] == found[1] && found[0] != weightsHash(ModelFile.read(bench.file("tiny.h5")).model))
  }

  /// A model whose tokenizer and head may differ from the demo's.
  private func write(_ name: String, rows more: Int = 0, renames: Bool = false, context: Int = 200) throws {
    var json = try Data(contentsOf: URL(fileURLWithPath: TrainProgram.root + "/configs/demo/tokenizer.json"))
    if renames { json = Data(String(decoding: json, as: UTF8.self).replacing("<|im_end|>", with: "<|im_stop|>").utf8) }
    let count = try Tokenizer(json: json, path: name).vocabularyCount
    var shape = ModelConfiguration(
      architecture: .llama, hiddenSize: 16, intermediateSize: 24, layerCount: 1, heads: .init(2),
      vocabularySize: count + more, contextLength: context)
    shape.stopTokens = [466]
    let model = LanguageModel(configuration: shape)
    model.initialize(seed: 8)
    try ModelFile.write(model, files: ModelFiles(tokenizer: json), to: bench.file(name))
  }

  @Test func aTeacherReadsTheSameTokens() throws {
    try write("padded.h5", rows: 5)
    try write("renamed.h5", renames: true)
    let (episode, _, _) = try given()
    // A head with more rows has the same tokens; one with fewer lacks some that may be drawn.
    let padded = try replay([episode]) { ($0.teacher, $0.loss.teacherTopK) = (bench.file("padded.h5"), 467) }
    #expect(padded.metrics["loss"]?.isFinite == true)
    func refusal(_ change: (inout Configuration) -> Void) -> String {
      (#expect(throws: MartletError.self) { try replay([episode], change) })?.message ?? ""
    }
    let renamed = refusal { $0.teacher = bench.file("renamed.h5") }
    #expect(renamed.contains("teacher: ") && renamed.contains("token 466 is \"<|im_stop|>\" there"), "\(renamed)")
    let fewer = refusal { $0.model = bench.file("padded.h5") }
    #expect(fewer.contains("has 467 ids, the model 472"), "\(fewer)")
    try write("short.h5", context: 20)
    let short = refusal { $0.teacher = bench.file("short.h5") }
    #expect(short.contains("teacher: its context holds 20 tokens"), "\(short)")
    guard case .ran(let log, _) = try bench.run(.rl, ["teacher=$short.h5"]) else { return }
    #expect(log.contains("teacher: its context holds 20 tokens") && !log.contains("metrics.jsonl\n{"), "\(log)")
  }

  /// Rejection fine-tuning on what the teacher wrote, which its own rejection fine-tuning keeps too.
  @Test func rejectionTrainsTheModelOnTheTeachersResponses() throws {
    try write("student.h5")
    func kept(_ settings: [String]) throws -> (String, ModelConfiguration) {
      let outcome = try bench.run(.rft, settings)
      guard case .ran(let result, _) = outcome else {
        Issue.record("\(outcome)")
        return ("", try ModelFile.read(base).model.configuration)
      }
      let lines = result.split(separator: "\n").filter { $0.hasPrefix("{\"id\"") }
      #expect(!lines.isEmpty, "\(result.prefix(500))")
      return (lines.joined(separator: "\n"), try ModelFile.read(base).model.configuration)
    }
    let own = try kept([]).0
    let taught = try kept(["model=$student.h5", "teacher=$base"]).0
    #expect(own == taught)
    var configuration = Configuration()
    (configuration.run, configuration.model) = (bench.file("rft"), bench.file("student.h5"))
    configuration.teacher = base
    configuration.data = [bench.file("m.jsonl")]
    (configuration.steps, configuration.updateBatch, configuration.samplesPerPrompt) = (1, 2, 6)
    (configuration.sampling.maxTokens, configuration.sampling.temperature) = (120, 0.5)
    configuration.interpreter.packages = []
    configuration.prompt.hint = "Let us use python code to solve this problem.\n```python\n"
    try Stage.run(StageRequest(.rft, configuration), context: context)
    let (student, made) = (
      try ModelFile.read(bench.file("student.h5")).model, try ModelFile.read(bench.file("rft/model.h5")).model
    )
    #expect(made.configuration == student.configuration && weightsHash(made) != weightsHash(student))
    // Another teacher makes another run.
    configuration.teacher = bench.file("other.h5")
    let error = #expect(throws: MartletError.self) {
      try Stage.run(StageRequest(.rft, configuration), context: context.with(resume: true))
    }
    #expect(error?.message.contains("teacher: ") == true, "\(error?.message ?? "")")
  }

  @Test func thePlanCountsTheTeacherAndTheReferenceAsTheyAre() throws {
    var configuration = Configuration()
    (configuration.model, configuration.teacher, configuration.refModel) = (bench.file("tiny.h5"), base, base)
    configuration.loss.kl = .k3
    configuration.data = [bench.file("p.jsonl")]
    configuration.steps = 1
    func bytes(_ kind: StageKind) throws -> [String: Int] {
      let plan = try Plan.of(configuration, kind: kind, threads: 1)
      return Dictionary(uniqueKeysWithValues: plan.parts.map { ($0.name, $0.bytes) })
    }
    let scale = ModelScale(try ModelFile.read(base).model.configuration)
    let found = try bytes(.rl)
    #expect(found["teacher weights"] == scale.weightBytes && found["reference weights"] == scale.weightBytes)
    #expect((found["scratch of teacher scoring"] ?? 0) > scale.weightBytes)
    configuration.refModel = nil
    #expect(try bytes(.rl)["reference weights"] ?? 0 < scale.weightBytes)
    // rft has it in memory while it samples, and trains without it.
    configuration.loss.kl = .none
    let sampling = try bytes(.rft)
    #expect(sampling["weights"] == scale.weightBytes && sampling["teacher weights"] == nil)
  }
}
