import Checkpoint
import Foundation
import Rollout
import Support
import Tensor
import Transformer

/// Log-probs and entropies of given tokens under a model: `train score`.
public enum Scorer {
  /// A line of input: tokens, a text, or an episode.
  struct Line: DataLine {
    static let keys = ["text"] + Episode.fileKeys

    var tokens: [Int32]?
    var text: String?
    var sampling: SamplingSettings?
    var kept: [[Int32]?]?
    var authors: [Episode.Run]?
  }

  /// A line of output; `entropy[i]` is that of the distribution after token i.
  struct Scores: Encodable {
    var tokens: [Int32]
    var logprobs: [Float?]
    var entropy: [Float]
  }

  private struct Work {
    var tokens: [Int32]
    var temperature: Float
    var kept: [[Int32]?]?
  }

  /// Scores every line of `input`. A model without a tokenizer of its own scores tokens and episodes; only texts need
  /// one.
  /// - Parameters:
  ///   - adapter: a folder that holds an adapter for the model.
  ///   - temperature: overrides that of an episode.
  /// - Throws: `MartletError` (data) with file and line.
  public static func score(
    model path: String, adapter: String? = nil, input: String, output: String, temperature: Float?, pool: WorkerPool
  ) throws {
    let stored = try ModelSource.load(path, adapter: adapter, valueHead: false, pool: pool)
    let shape = stored.model.configuration
    let pass = TrainingPass(model: stored.model, gradients: nil, matmul: .mixed, pool: pool)
    var loaded: LoadedModel?
    func encode(_ text: String) throws -> [Int32] {
      let found = try loaded ?? LoadedModel(stored: stored, path: path)
      loaded = found
      return found.encodePlain(text)
    }
    let file = try JSONLinesFile(output)
    var waiting: [Work] = []
    var rows = 0
    func flush() throws {
      for scores in score(waiting, pass) { try file.append(scores) }
      waiting = []
      rows = 0
    }
    try JSONLines.forEach(input, as: Line.self) { line, number in
      let tokens = try line.tokens ?? line.text.map(encode) ?? []
      let work = try work(tokens, line, shape.vocabularySize, temperature, "\(input):\(number)")
      guard work.tokens.count <= shape.contextLength else {
        throw MartletError(
          .data, "\(input):\(number): \(work.tokens.count) tokens, but the model's context holds \(shape.contextLength)"
        )
      }
      if rows + work.tokens.count > 4096 { try flush() }
      rows += work.tokens.count
      waiting.append(work)
    }
    try flush()
    try file.close()
  }

  private static func work(
    _ tokens: [Int32], _ line: Line, _ vocabulary: Int, _ temperature: Float?, _ place: String
  ) throws -> Work {
    guard !tokens.isEmpty else {
      throw MartletError(.data, "\(place): needs \"tokens\" or \"text\" with something in it; nothing can be scored")
    }
    if let bad = tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
      throw MartletError(.data, "\(place): token \(bad) is outside of the vocabulary of \(vocabulary)")
    }
    var kept = line.kept
    if let given = kept, given.count != tokens.count {
      guard let runs = line.authors else {
        throw MartletError(
          .data, "\(place): kept: \(given.count) entries for \(tokens.count) tokens; give one a token, null for none")
      }
      kept = runs.spread(given, tokens: tokens.count)
      if kept == nil {
        throw MartletError(
          .data, "\(place): kept: \(given.count) entries fit neither the tokens nor the model's tokens")
      }
    }
    for (index, set) in (kept ?? []).enumerated() {
      guard let set else { continue }
      let ascends = zip(set, set.dropFirst()).allSatisfy { $0 < $1 }
      guard ascends, set.allSatisfy({ $0 >= 0 && $0 < vocabulary }), set.contains(tokens[index]) else {
        throw MartletError(
          .data, "\(place): kept[\(index)] must ascend, stay in the vocabulary and hold token \(tokens[index])")
      }
    }
    let used = temperature ?? line.sampling?.temperature ?? 1
    guard used.isFinite, used >= 0 else { throw MartletError(.data, "\(place): temperature \(used) must be 0 or more") }
    return Work(tokens: tokens, temperature: used, kept: kept)
  }

  private static func score(_ works: [Work], _ pass: TrainingPass) -> [Scores] {
    guard !works.isEmpty else { return [] }
    let packed = PackedTokens(works.map(\.tokens))
    var targets: [Target] = []
    for (index, work) in works.enumerated() {
      for place in work.tokens.indices {
        // The last row has no next token; its entropy is asked for with any.
        let next = place + 1 < work.tokens.count ? place + 1 : 0
        let kept = next > 0 ? work.kept?[next] : nil
        targets.append(
          Target(row: packed.row(index, place), token: work.tokens[next], temperature: work.temperature, kept: kept))
      }
    }
    pass.forward(packed)
    let scores = pass.score(targets)
    return zip(works, packed.sequences).map { work, sequence in
      let rows = sequence.rows
      return Scores(
        tokens: work.tokens, logprobs: [nil] + rows.dropLast().map { scores.logProbs[$0] },
        entropy: rows.map { scores.entropies[$0] })
    }
  }
}
