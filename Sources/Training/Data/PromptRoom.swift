import Foundation
import Reports
import Rollout
import Support
import Transformer

/// A problem and its place: `file:line`.
struct PlacedProblem {
  var problem: Problem
  var place: String
  /// Which of several files it is of, from 0.
  var file = 0
}

/// Finds prompts that leave no room for a response, before anything is sampled.
struct PromptRoom {
  let builder: PromptBuilder
  let contextLength: Int
  /// Tokens of the hint that every response begins with.
  let hintCount: Int
  let overlong: OverlongPrompts
  /// What a user can do about a prompt that is too long.
  let remedy: String

  /// A problem that cannot be asked: a line of `skipped.jsonl`.
  struct Overlong: Encodable, Equatable {
    var id: String
    var place: String
    var tokens: Int
    fileprivate var contextLength: Int
    fileprivate var remedy: String

    private enum CodingKeys: CodingKey { case id, place, tokens }

    var message: String {
      "\(place): the prompt has \(tokens) tokens, which leaves no room for a response in the model's context of "
        + "\(contextLength); \(remedy)"
    }
  }

  init(
    _ loaded: LoadedModel, builder: PromptBuilder, configuration: Configuration,
    remedy: String = "shorten it, or leave such problems out with prompt.overlong: skip"
  ) {
    self.builder = builder
    self.remedy = remedy
    contextLength = loaded.model.configuration.contextLength
    hintCount = configuration.prompt.hint.map { loaded.tokenizer.encode($0).count } ?? 0
    overlong = configuration.prompt.overlong
  }

  /// The tokens of each prompt, in order.
  func counts(_ problems: [PlacedProblem]) throws -> [Int] {
    try problems.map { placed in
      do { return try builder.prompt(placed.problem).count + hintCount } catch let error as MartletError {
        throw MartletError(error.status, "\(placed.place): \(error.message)")
      }
    }
  }

  /// Tokens of the longest prompt that can be asked, with a response of `responses` tokens.
  func longestSequence(_ problems: [PlacedProblem], responses: Int) throws -> Int {
    min(contextLength, (try counts(problems).filter { $0 < contextLength }.max() ?? 0) + responses)
  }

  /// The problems that cannot be asked, each with the reason.
  func find(_ problems: [PlacedProblem], counts: [Int]) -> [Overlong] {
    zip(problems, counts).compactMap { placed, count in
      count < contextLength
        ? nil
        : Overlong(
          id: placed.problem.id, place: placed.place, tokens: count, contextLength: contextLength, remedy: remedy)
    }
  }

  /// The problems that can be asked.
  /// - Parameter list: the file that lists the problems left out; nil: none.
  /// - Throws: `MartletError` (data) for the first problem that cannot be asked, unless such problems are skipped, or
  ///   when none is left.
  func admit(_ problems: [PlacedProblem], list: String?, onEvent: EventHandler) throws -> [Problem] {
    let out = try find(problems, counts: counts(problems))
    guard let first = out.first else { return problems.map(\.problem) }
    guard overlong == .skip else { throw MartletError(.data, first.message) }
    guard out.count < problems.count else {
      throw MartletError(.data, "\(first.place): all \(out.count) prompts are longer than the model's context allows")
    }
    onEvent(
      .warning(
        "left out: \(out.count) of \(problems.count) problems, whose prompts leave no room for a response"
          + (list.map { "; \($0) lists them" } ?? "")))
    if let list { try JSONLines.write(out, to: list) }
    let places = Set(out.map(\.place))
    return problems.filter { !places.contains($0.place) }.map(\.problem)
  }
}
