import Support
import Testing
import Tokenization

/// JSON goes out as it came in: order, digits, characters.
@Suite struct JSONValueTests {
  private func read(_ text: String) throws -> JSONValue {
    try Array(text.utf8).withUnsafeBufferPointer {
      var scanner = JSONScanner($0, path: "line")
      return try scanner.value()
    }
  }

  @Test(arguments: [
    #"{"b": 1, "a": [true, false, null, {}], "a2": []}"#, "123456789012345678901234567890", "0.00001", "-1.50e+3",
    #""é 日本 🙂 \" \\ \u000a\u0001""#,
  ]) func isWrittenAsItWasRead(text: String) throws {
    #expect(try read(text).text == text)
    #expect(try read(read(text).text) == read(text))
  }

  /// A template may ask whether the content is null, as that of R1 does before tool calls.
  @Test func aNullContentStaysNull() throws {
    guard case .object(let members) = try read(#"{"role": "assistant", "content": null, "tool_calls": [1]}"#) else {
      Issue.record("not an object")
      return
    }
    let message = ChatMessage(members: members)
    #expect(message.fields.text == #"{"role": "assistant", "content": null, "tool_calls": [1]}"#)
    #expect(message.role == "assistant" && message.content == "")
    #expect(message.without(["tool_calls"]).fields.text == #"{"role": "assistant", "content": null}"#)
  }
}
