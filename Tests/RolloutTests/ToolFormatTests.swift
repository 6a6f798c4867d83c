import Testing

@testable import Rollout

@Suite struct ToolFormatTests {
  /// The calls that a text completes, and whether it ends inside one.
  private func calls(_ text: String, _ tools: ToolFormats, stops: Bool = false) -> (calls: [ToolCall], isOpen: Bool) {
    guard var scanner = tools.format?.scanner() else { return ([], false) }
    var found = text.utf8.compactMap { scanner.push($0) }
    let isOpen = scanner.isOpen
    if stops, let call = scanner.stop() { found.append(call) }
    return (found, isOpen)
  }

  @Test(arguments: [
    ("```python\nx = 1\n\nx\n```\n", ["x = 1\n\nx\n"]),
    ("We use calls.```python\nx\n```\n", ["x\n"]),
    ("We use calls. ```python\nx\n```\n", ["x\n"]),
    ("```py \r\nx\r\n ``` \n", ["x\r\n"]),
    ("```Python3\n\u{e9}\n````\n", ["\u{e9}\n"]),
    ("```python\n```\n", [""]),
    ("a\n```python\n1\n```\nb\n```python\n2\n```\n", ["1\n", "2\n"]),
    // Not closed: no newline behind the fence, or not alone in its line.
    ("```python\nx\n```", []), ("```python\nx```\n", []), ("```python\nprint('''\n```x\n", []),
    // Not opened.
    ("python\nx\n```\n", []), ("``python\nx\n```\n", []), ("Write ```python code``` here\nx\n```\n", []),
    ("```\nx\n```\n", []), ("```output\n5\n```\n", []),
    // A made-up output does not hide the next block, nor does a fence that nobody opened.
    ("```output\n5\n```\nSo\n```python\n6\n```\n", ["6\n"]), ("```\nSo\n```python\n6\n```\n", ["6\n"]),
  ])
  func fencedBlocks(text: String, codes: [String]) {
    #expect(calls(text, .python).calls == codes.map { ToolCall(code: $0) })
  }

  @Test func stoppingClosesAFence() {
    #expect(calls("```python\nx\n```", .python, stops: true).calls == [ToolCall(code: "x\n")])
    #expect(calls("```python\nx\n", .python, stops: true).calls.isEmpty)
    #expect(calls("x\n```", .python, stops: true).calls.isEmpty)
    #expect(calls("a\n```python\nx", .python).isOpen)
    #expect(!calls("a\n```python\nx\n```\n", .python).isOpen)
  }

  @Test func jsonCalls() {
    let form = "<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"print(1)\\n\"}}\n</tool_call>"
    #expect(calls("Let <tool us " + form, .toolCall).calls == [ToolCall(code: "print(1)\n")])
    let text = "<tool_call>{\"name\": \"code_interpreter\", \"arguments\": \"{\\\"code\\\": \\\"2\\\"}\"}</tool_call>"
    #expect(calls(text + form, .toolCall).calls.map(\.code) == ["2", "print(1)\n"])
    #expect(calls(form.dropLast().description, .toolCall).isOpen)
    for wrong in ["{", "[]", "{\"name\": \"python\"}", "{\"name\": \"search\", \"arguments\": {\"code\": \"1\"}}"] {
      let found = calls("<tool_call>\(wrong)</tool_call>", .toolCall).calls
      #expect(found.count == 1)
      #expect(found.first?.problem != nil)
    }
  }

  @Test func tags() {
    let long = String(repeating: "prose ", count: 3000)
    #expect(calls(long + "<code>\n1 < 2\n</code>", .code).calls == [ToolCall(code: "\n1 < 2\n")])
    #expect(calls("</code><code>a</code> b </code>", .code).calls == [ToolCall(code: "a")])
    #expect(calls("```python\nx\n```\n", .none).calls.isEmpty)
  }

  @Test func replies() throws {
    #expect(FencedPython().reply(to: "4\n") == "```output\n4\n```\n")
    #expect(FencedPython().reply(to: "4") == "```output\n4\n```\n")
    #expect(FencedPython().reply(to: "", joined: false) == "\n```output\n```\n")
    #expect(ToolCallJSON().reply(to: "4\n") == "\n<tool_response>\n4\n</tool_response>\n")
    #expect(CodeTags().reply(to: "4\n", isLast: true) == "\n<output>\n4\n</output>\nNo further code will be run.\n")
    let tokenizer = try RolloutFixtures.tokenizer()
    for tools in ToolFormats.allCases {
      guard let format = tools.format else { continue }
      let tokens = format.tokens(replyTo: "<|im_end|>```python\n", isLast: true, tokenizer: tokenizer)
      #expect(tokens.allSatisfy { $0 < 269 })
      #expect(tokenizer.decode(tokens) == format.reply(to: "<|im_end|>```python\n", isLast: true))
    }
  }
}
