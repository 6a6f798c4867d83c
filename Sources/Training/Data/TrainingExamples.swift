import Foundation
import PPO
import Rollout
import Support
import Tensor
import Tokenization
import Transformer

/// A sequence to learn from, with a mask of its trained tokens.
struct TrainingExample: Sendable, Equatable {
  var tokens: [Int32]
  /// Whether the log-prob of `tokens[i]` is in the loss; never the first.
  var trained: [Bool]
  /// The authors of its tokens; `nil`: a prompt and a response that were joined here, with the settings of `prompt`.
  var authors: Set<Author>?

  init(tokens: [Int32], trained: [Bool], authors: Set<Author>? = nil) {
    precondition(tokens.count == trained.count, "\(tokens.count) tokens, but \(trained.count) marks")
    self.tokens = tokens
    self.trained = trained
    self.authors = authors
    if !self.trained.isEmpty { self.trained[0] = false }
  }

  /// An episode whose tokens by `authors` are trained on.
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
    var authors: [Episode.Run]?
    var prompt: String?
    var response: String?
    var segments: [TraceSegment]?

    /// The keys of each form.
    static let forms = [
      ["tokens", "authors"] + Episode.fileKeys.filter { $0 != "tokens" && $0 != "authors" },
      ["prompt", "response"], ["prompt", "segments"], ["messages", "tools"],
    ]
    private enum CodingKeys: CodingKey { case tokens, authors, prompt, response, segments, messages, tools }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      let there = Set(values.allKeys.map(\.stringValue))
      let form = Self.forms.first { form in there.isSubset(of: form) }
      guard let form else {
        let mixed = values.allKeys.sorted { $0.stringValue < $1.stringValue }
        throw DecodingError.dataCorrupted(
          .init(
            codingPath: [mixed[0]],
            debugDescription: "a line has one form, but this one has "
              + mixed.map(\.stringValue).joined(separator: ", ") + "; split it"))
      }
      try DataKeys.check(decoder, known: there.isEmpty ? Array(Set(Self.forms.joined())) : form)
      tokens = try values.decodeIfPresent([Int32].self, forKey: .tokens)
      authors = try values.decodeIfPresent([Episode.Run].self, forKey: .authors)
      prompt = try values.decodeIfPresent(String.self, forKey: .prompt)
      response = try values.decodeIfPresent(String.self, forKey: .response)
      segments = try values.decodeIfPresent([TraceSegment].self, forKey: .segments)
    }
  }

  /// The examples of all lines; a conversation whose template rewrites earlier turns makes several.
  /// - Throws: `MartletError` (data) with file and line.
  func read(_ paths: [String]) throws -> [TrainingExample] {
    var examples: [TrainingExample] = []
    for path in paths {
      try JSONLines.forEachWithText(path, as: Line.self) { line, text, number in
        let place = "\(path):\(number)"
        do {
          let made = try make(line, text, place)
          if made.isEmpty { throw MartletError(.data, Self.untrained) }
          for example in made {
            if let defect = defect(of: example) { throw MartletError(.data, defect) }
          }
          examples += made
        } catch let error as MartletError {
          throw MartletError(error.status, "\(place): \(error.message)")
        }
      }
    }
    return examples
  }

  private func make(_ line: Line, _ text: [UInt8], _ place: String) throws -> [TrainingExample] {
    if let tokens = line.tokens, let runs = line.authors {
      guard runs.allSatisfy({ $0.count >= 0 }), runs.reduce(0, { $0 &+ $1.count }) == tokens.count else {
        throw MartletError(.data, "authors do not cover the \(tokens.count) tokens")
      }
      let written = runs.byToken
      return [
        TrainingExample(tokens: tokens, trained: written.map { authors.contains($0) }, authors: Set(written))
      ]
    }
    if let prompt = line.prompt, let segments = line.segments { return [try traced(prompt, segments)] }
    if let prompt = line.prompt, let response = line.response {
      return try examples(Conversation(prompt: prompt, response: response))
    }
    let value = try text.withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes, path: place)
      return try scanner.value()
    }
    if let messages = value["messages"] {
      return try examples(Conversation(messages: messages, tools: value["tools"]))
    }
    throw MartletError(
      .data,
      "not a training example; write an episode (tokens, authors), {\"prompt\", \"response\"} or {\"messages\": [...]}")
  }

  private func examples(_ conversation: Conversation) throws -> [TrainingExample] {
    try builder.sequences(conversation).map { tokens, trained in
      TrainingExample(tokens: tokens, trained: trained.map { $0 && authors.contains(.model) })
    }
  }

  /// A prompt with a response of several authors.
  private func traced(_ prompt: String, _ segments: [TraceSegment]) throws -> TrainingExample {
    var tokens = try builder.prompt(text: prompt)
    var trained = tokens.map { _ in false }
    var segments = segments
    let asked = Array(tokenizer.decode(tokens).utf8)
    if let first = segments.first, let words = ChatForm.behindOpenThinking(asked, Array(first.text.utf8)) {
      segments[0].text = String(decoding: words, as: UTF8.self)
    }
    for segment in segments {
      let piece = segment.tokens(tokenizer)
      tokens += piece
      trained += piece.map { _ in authors.contains(segment.author) }
    }
    tokens += builder.endOfTurn
    trained += builder.endOfTurn.map { _ in authors.contains(.model) }
    return TrainingExample(tokens: tokens, trained: trained, authors: Set(segments.map(\.author)))
  }

  private static let untrained =
    "none of its tokens is trained on; see train_authors, and weight in messages"

  private func defect(of example: TrainingExample) -> String? {
    if example.tokens.isEmpty { return "there are no tokens" }
    if let bad = example.tokens.first(where: { $0 < 0 || $0 >= vocabulary }) {
      return "token \(bad) is outside of the vocabulary of \(vocabulary)"
    }
    if example.tokens.count > contextLength {
      return "\(example.tokens.count) tokens, but the model's context holds \(contextLength); shorten it"
    }
    if !example.trained.contains(true) { return Self.untrained }
    return nil
  }
}
