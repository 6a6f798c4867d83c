import Foundation
import PPO
import Rollout
import Tensor
import Transformer

/// A sequence to learn from, and which of its tokens.
struct TrainingExample: Sendable, Equatable {
  var tokens: [Int32]
  /// Whether the log-prob of `tokens[i]` is in the loss; never the first.
  var trained: [Bool]
  /// Who wrote some of it; `nil`: a prompt and the model, put together here with `prompt`'s settings.
  var authors: Set<Author>?

  init(tokens: [Int32], trained: [Bool], authors: Set<Author>? = nil) {
    precondition(tokens.count == trained.count, "\(tokens.count) tokens, but \(trained.count) marks")
    self.tokens = tokens
    self.trained = trained
    self.authors = authors
    if !self.trained.isEmpty { self.trained[0] = false }
  }

  /// An episode, trained on what `authors` wrote.
  init(_ episode: Episode, authors: [Author]) {
    self.init(
      tokens: episode.tokens, trained: episode.authorsByToken.map { authors.contains($0) },
      authors: Set(episode.authorsByToken))
  }
}

/// Reads training examples: episodes, prompt and response, conversations, or texts with authors.
struct TrainingExamples {
  let builder: PromptBuilder
  let tokenizer: Tokenizer
  let vocabulary: Int
  let contextLength: Int
  let authors: [Author]

  /// Any form an example may have in a file.
  private struct Line: Decodable {
    var tokens: [Int32]?
    var authors: [AuthorPair]?
    var prompt: String?
    var response: String?
    var segments: [TraceSegment]?
    var messages: [ChatMessage]?
  }

  /// `["model", 12]`
  private struct AuthorPair: Decodable {
    let author: Author
    let count: Int
    init(from decoder: any Decoder) throws {
      var list = try decoder.unkeyedContainer()
      author = try list.decode(Author.self)
      count = try list.decode(Int.self)
    }
  }

  /// - Throws: `MartletError` (data) with file and line.
  func read(_ paths: [String]) throws -> [TrainingExample] {
    var examples: [TrainingExample] = []
    for path in paths {
      try JSONLines.forEach(path, as: Line.self) { line, number in
        let example: TrainingExample
        do {
          example = try make(line)
        } catch let error as MartletError {
          throw MartletError(error.status, "\(path):\(number): \(error.message)")
        }
        if let defect = defect(of: example) { throw MartletError(.data, "\(path):\(number): \(defect)") }
        examples.append(example)
      }
    }
    return examples
  }

  private func make(_ line: Line) throws -> TrainingExample {
    if let tokens = line.tokens, let runs = line.authors {
      guard runs.allSatisfy({ $0.count >= 0 }), runs.reduce(0, { $0 &+ $1.count }) == tokens.count else {
        throw MartletError(.data, "authors do not cover the \(tokens.count) tokens")
      }
      let written = runs.flatMap { [Author](repeating: $0.author, count: $0.count) }
      return TrainingExample(tokens: tokens, trained: written.map { authors.contains($0) }, authors: Set(written))
    }
    if let messages = line.messages {
      let (tokens, trained) = try builder.conversation(messages)
      return TrainingExample(tokens: tokens, trained: trained)
    }
    if let prompt = line.prompt, let segments = line.segments {
      var tokens = try builder.example(prompt: prompt, response: "").prompt
      var trained = tokens.map { _ in false }
      for segment in segments {
        let piece = segment.tokens(tokenizer)
        tokens += piece
        trained += piece.map { _ in authors.contains(segment.author) }
      }
      tokens += builder.endOfTurn
      trained += builder.endOfTurn.map { _ in true }
      return TrainingExample(tokens: tokens, trained: trained, authors: Set(segments.map(\.author)))
    }
    if let prompt = line.prompt, let response = line.response {
      let (head, tail) = try builder.example(prompt: prompt, response: response)
      return TrainingExample(tokens: head + tail, trained: head.map { _ in false } + tail.map { _ in true })
    }
    throw MartletError(
      .data,
      "not a training example; write an episode (tokens, authors), {\"prompt\", \"response\"} or {\"messages\": [...]}")
  }

  private func defect(of example: TrainingExample) -> String? {
    if example.tokens.isEmpty { return "there are no tokens" }
    if let bad = example.tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
      return "token \(bad) is outside of the vocabulary of \(vocabulary)"
    }
    if example.tokens.count > contextLength {
      return "\(example.tokens.count) tokens, but the model's context holds \(contextLength); shorten it"
    }
    if !example.trained.contains(true) { return "none of its tokens is trained on; see train_authors" }
    return nil
  }
}
