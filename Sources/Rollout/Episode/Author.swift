/// Who wrote a stretch of an episode.
public enum Author: String, Codable, Sendable, CaseIterable {
  /// What the model was asked, template included.
  case prompt
  /// Sampled tokens, the stop token included.
  case model
  /// What the interpreter returned, fences included.
  case tool
  /// A sentence (and what opens a call) inserted by hint engineering.
  case hint
}

/// A stretch of text with its author. Behaviour analysis and the demo's texts see episodes in this form.
public struct TraceSegment: Codable, Sendable, Equatable {
  /// Who wrote it.
  public var author: Author
  /// What was written.
  public var text: String

  /// A stretch by one author.
  public init(author: Author, text: String) {
    self.author = author
    self.text = text
  }
}
