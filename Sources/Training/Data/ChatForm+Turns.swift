import Rollout
import Support
import Tensor
import Tokenization
import Transformer

/// One answer of a conversation: the text before it, and the text that the model is to write.
struct ChatTurn: Equatable {
  /// UTF-8, as the template renders it.
  var context: [UInt8]
  var answer: [UInt8]
  /// Whether `answer` ends with the end of the turn; else the end of text must follow.
  var isEnded: Bool
}

extension ChatForm {
  /// The answer `place` of a conversation, as the template renders it: what it adds to the prompt that asks for it.
  ///
  /// Templates of reasoning models open `<think>` in that prompt and drop the reasoning of earlier answers. The
  /// answer's own words then follow the prompt, without a second `<think>`. Some templates rewrite earlier text
  /// (Mistral shows the system message only in the last question). They leave the question: the answer is what follows
  /// it.
  /// - Throws: `MartletError` (data) when prompt and answer do not fit together.
  func turn(
    _ place: Int, of messages: [ChatMessage], tools: JSONValue?, stopTexts: [[UInt8]]
  ) throws -> ChatTurn {
    let before = Array(
      try render(Array(messages[..<place]), tools: tools, addGenerationPrompt: true).utf8)
    let after = Array(try render(Array(messages[...place]), tools: tools, addGenerationPrompt: false).utf8)
    let content = Array(messages[place].content.utf8)
    if after.starts(with: before) {
      let rest = after[before.count...]
      let end = writesEnd ? rest.lastEnd(of: stopTexts)?.upperBound : nil
      return ChatTurn(context: before, answer: Array(rest[..<(end ?? rest.endIndex)]), isEnded: end != nil)
    }
    let end = writesEnd ? after.lastEnd(of: stopTexts) : nil
    let whole = after[..<(end?.upperBound ?? after.count)]
    let (open, close) = (Self.openThinking, Self.closeThinking)
    let ending = end.map { Array(after[$0]) } ?? []
    if content.firstRange(of: close) != nil, let words = Self.behindOpenThinking(before, content) {
      return ChatTurn(context: before, answer: words + ending, isEnded: end != nil)
    }
    let body = whole[..<(end?.lowerBound ?? whole.endIndex)]
    // A template that trims the answer shows only its words.
    let words = [content, content.trimmingWhitespace].first { body.lastRange(of: $0) != nil } ?? []
    let found = words.isEmpty ? nil : body.lastRange(of: words)
    let asked = Array(try render(Array(messages[..<place]), tools: tools, addGenerationPrompt: false).utf8)
    if place > 0, let found,
      let start = Self.behindQuestion(messages[place - 1], asked, prompt: before, whole[..<found.lowerBound])
    {
      return ChatTurn(context: before, answer: Array(whole[start...]), isEnded: end != nil)
    }
    // The model does not write what the template puts between the question and the answer's own words.
    let shared = zip(before, whole).prefix { $0 == $1 }.count
    guard let found, before[shared...].firstRange(of: close) == nil || content.firstRange(of: open) == nil else {
      throw MartletError(
        .data,
        "messages[\(place)]: the chat template's prompt does not lead to this answer as it renders it; "
          + "check its <think> section, or choose another prompt.template")
    }
    return ChatTurn(
      context: Array(whole[..<found.lowerBound]), answer: Array(whole[found.lowerBound...]), isEnded: end != nil)
  }
}

extension ChatForm {
  /// Where an answer begins in `text`: after the last message and all that the prompt adds to it.
  /// - Parameter asked: the prompt without what `add_generation_prompt` adds.
  private static func behindQuestion(
    _ question: ChatMessage, _ asked: [UInt8], prompt: [UInt8], _ text: ArraySlice<UInt8>
  ) -> Int? {
    let words = Array(question.content.utf8).trimmingWhitespace
    guard !words.isEmpty, prompt.starts(with: asked), let last = asked.lastRange(of: words) else { return nil }
    return text.lastRange(of: Array(prompt[last.lowerBound...]))?.upperBound
  }

  private static let openThinking = Array("<think>".utf8)
  private static let closeThinking = Array("</think>".utf8)

  /// A response without its own `<think>`, because the prompt has opened one; nil where the prompt has not.
  static func behindOpenThinking(_ prompt: [UInt8], _ response: [UInt8]) -> [UInt8]? {
    guard let opened = prompt.lastRange(of: openThinking),
      prompt[opened.upperBound...].firstRange(of: closeThinking) == nil
    else { return nil }
    let prefix = Array(prompt[opened.lowerBound...])
    if response.starts(with: prefix) { return Array(response[prefix.count...]) }
    return response.starts(with: openThinking) ? Array(response[openThinking.count...]) : response
  }
}

extension Collection<UInt8> where Index == Int {
  func firstRange(of words: [UInt8]) -> Range<Int>? {
    guard count >= words.count else { return nil }
    return (startIndex...(endIndex - words.count)).first { self[$0...].starts(with: words) }
      .map { $0..<$0 + words.count }
  }

  func lastRange(of words: [UInt8]) -> Range<Int>? {
    guard count >= words.count else { return nil }
    return (startIndex...(endIndex - words.count)).last { self[$0...].starts(with: words) }
      .map { $0..<$0 + words.count }
  }

  /// The last place where one of `texts` occurs.
  func lastEnd(of texts: [[UInt8]]) -> Range<Int>? {
    texts.filter { !$0.isEmpty }.compactMap(lastRange).max { $0.upperBound < $1.upperBound }
  }

  var trimmingWhitespace: [UInt8] {
    func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
    let rest = drop(while: isSpace)
    return Array(rest.reversed().drop(while: isSpace).reversed())
  }
}
