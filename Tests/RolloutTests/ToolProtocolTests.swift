import Testing

@testable import Rollout

/// What opens, holds and closes a call in each format, kind by kind. Every text goes in byte by byte.
@Suite struct ToolProtocolTests {
  private func scan(_ text: String, _ tools: ToolFormats) -> (calls: [ToolCall], scanner: any CallScanner) {
    var scanner = tools.reading.scanner()
    let calls = text.utf8.compactMap { scanner.push($0) }
    return (calls, scanner)
  }

  private func codes(_ text: String, _ tools: ToolFormats = .python) -> [String] { scan(text, tools).calls.map(\.code) }

  private func bytes(_ text: String, _ range: Range<Int>) -> String {
    String(decoding: Array(text.utf8)[range], as: UTF8.self)
  }

  // MARK: - Fences

  @Test(arguments: [
    // CommonMark 0.31's examples 131 to 133, and outside of them.
    (" ```py\n aaa\naaa\n```\n", "aaa\naaa\n"), ("  ```py\naaa\n  aaa\naaa\n  ```\n", "aaa\naaa\naaa\n"),
    ("   ```py\n   aaa\n    aaa\n  aaa\n   ```\n", "aaa\n aaa\naaa\n"),
    ("1. First:\n   ```python\n   x = 6*7\n   if x:\n       print(x)\n   ```\n", "x = 6*7\nif x:\n    print(x)\n"),
    ("10. First:\n\n    ```python\n    x\n    ```\n", "x\n"), ("- a\n  - b\n\n    ```python\n    x\n    ```\n", "x\n"),
    ("- a\n  - b\n    1. c\n       ```python\n       x\n       ```\n", "x\n"),
    ("1. ```python\n   x\n   ```\n", "x\n"), ("* a\nlazy text\n    ```python\n    x\n    ```\n", "x\n"),
    ("- a\n\t```python\n\tx\n\t```\n", "x\n"), ("1. a\n   ```python\n   x\n```\n", "x\n"),
    ("```python\n\tx\n   ```\n", "\tx\n"), (" ```python\n\tx\n ```\n", "   x\n"),
  ])
  func fencesAreIndentedWithTheirItem(text: String, code: String) { #expect(codes(text) == [code]) }

  @Test(arguments: [
    "    ```python\n    x\n    ```\n", "\t```python\n\tx\n\t```\n", "- a\n\ntext\n\n    ```python\n    x\n    ```\n",
    "- a\n      ```python\n      x\n      ```\n", "> ```python\n> x\n> ```\n",
    "1.5 is\n    ```python\n    x\n    ```\n",
  ])
  func fencesTooFarToTheRightOpenNothing(text: String) {
    let (calls, scanner) = scan(text, .python)
    #expect(calls.isEmpty && !scanner.isOpen)
    #expect(codes(text + "\n```python\ny\n```\n") == ["y\n"])
  }

  @Test(arguments: ["```python\nx\n    ```\n", "1. a\n   ```python\n   x\n       ```\n"])
  func fencesTooFarToTheRightCloseNothing(text: String) {
    let (calls, scanner) = scan(text, .python)
    #expect(calls.isEmpty && scanner.isOpen)
  }

  @Test(arguments: [
    ("````python\n```\nx\n````\n", "```\nx\n"), ("````python\nx\n```\n`````\n", "x\n```\n"),
    ("~~~python\n```\nx\n~~~\n", "```\nx\n"), ("~~~~ python\nx\n~~~\n~~~~~\n", "x\n~~~\n"),
    ("```python\nx\n~~~\n```\n", "x\n~~~\n"), ("```python\n```x\n``` python\n```\n", "```x\n``` python\n"),
  ])
  func theMarkThatOpensCloses(text: String, code: String) { #expect(codes(text) == [code]) }

  @Test(arguments: [
    "python title=\"a.py\"", " Python", "py", "python3", "PY3", "{python}", "{.python .numberLines}", "{ python }",
    "{#id .python}",
    "python3.12", "ipython", "ipython3 x", "python,linenos", "python:a.py", "python{1,3}", "\tpython\t",
  ])
  func pythonByItsInfoString(info: String) {
    #expect(codes("```\(info)\nx\n```\n") == ["x\n"])
    #expect(codes("~~~\(info)\nx\n~~~\n") == ["x\n"])
  }

  @Test(arguments: [
    "", "output", "pycon", "python2", "pythonic", "sh", "json python", "text title=\"python\"", "{output}",
  ])
  func otherInfoStrings(info: String) { #expect(codes("```\(info)\nx\n```\n").isEmpty) }

  @Test(arguments: [
    "````markdown\n```python\nx\n```\n````\n", "~~~\n```python\nx\n```\n~~~\n", "```text\n```python\nx\n```\n",
    "```output\n5\n```python\n", "````\n```python\nx\n```\n````\n", "> ```\n> ```python\n> x\n> ```\n",
  ])
  func aFenceInsideABlockIsText(text: String) { #expect(codes(text).isEmpty) }

  @Test(arguments: [
    "Write `` ```python `` first.\nx\n```\n", "Write ```python``` first.\nx\n```\n",
    "So ```python x``` and ```py```\nx\n```\n",
    "We write ```python blocks\nx\n```\n", "``` ` ``` and ``` a ```python\nx\n```\n", "~~~ is no ~~~python\nx\n~~~\n",
    "```python`\nx\n```\n", "Use ``` or ```python\nx\n```\n",
  ])
  func fencesNamedInProse(text: String) { #expect(codes(text).isEmpty) }

  @Test(arguments: [
    "So.```python", "</think>```python", "So ` and ```python", "Use `x`: ```py", "**Code** ```Python  ",
  ])
  func aFenceBehindASentence(line: String) { #expect(codes(line + "\nx\n```\n") == ["x\n"]) }

  @Test func listsGoOnBehindAnOutput() {
    var scanner = FenceScanner()
    for byte in "- a\n  - b\n    ```python\n    x\n    ```\n".utf8 { _ = scanner.push(byte) }
    scanner.skip(20)
    #expect("    Then\n    ```python\n    y\n    ```\n".utf8.compactMap { scanner.push($0) } == [ToolCall(code: "y\n")])
  }

  // MARK: - Tags

  @Test(arguments: [
    ("Go\n<code>\n```python\nprint(6*7)\n```\n</code>", "print(6*7)\n"), ("<code>```py\nx\n```</code>", "x\n"),
    ("<code>\n\n  ```\n  x\n    y\n  ```\n\n</code>", "x\n  y\n"), ("<code>\n~~~python\nx\n~~~\n</code>", "x\n"),
    ("<code>\n```python\nx\n</code>", "x\n"), ("So: <code>```python\nx\n```\n</code>", "x\n"),
    ("So <code>\nx\n</code>", "\nx\n"), ("</think><code>x</code>", "x"), ("</think> <code> x </code>", "x "),
    ("  <code>\n  x\n    y\n  </code>", "\nx\n  y\n"), ("<code>\n```sh\nx\n```\n</code>", "\n```sh\nx\n```\n"),
    ("I use the <code> tag.\n<code>\nx\n</code>", "\nx\n"),
    ("<code> tags run code, don't they?\n<code>\nx\n</code>", "\nx\n"),
    ("<code> is the tag.\n<code> is.\n  <code>x\n  y</code>", "x\ny"),
    ("<code>\ns = '''\n<code>\n'''\n</code>", "\ns = '''\n<code>\n'''\n"),
  ])
  func codeInTags(text: String, code: String) { #expect(codes(text, .code) == [code]) }

  @Test(arguments: [
    "the <code> tag and </code> end it", "`<code>` opens, `</code>` closes", "Use <code>x</code> here.",
    "a <code>` b </code>",
    "tags: <code>, <output>\n</code>", "a <codes>\nx\n</code>", "< code>\nx\n</code>",
  ])
  func codeTagsNamedInProse(text: String) {
    #expect(codes(text, .code).isEmpty && !scan(text, .code).scanner.isOpen)
    #expect(codes(text + "\n<code>\nx\n</code>", .code) == ["\nx\n"])
  }

  @Test(arguments: [
    "print('</code>')", "print(\"it's </code>\")", "s = \"\"\"\na </code> b\n\"\"\"", "t = '</code>\\' </code>'",
    "x = '' + '</code>'", "s = '''\n'' </code> '\n'''", "f = 'a\\\nb </code> c'",
  ])
  func closingTagsInStrings(code: String) {
    #expect(codes("<code>\n\(code)\n</code>", .code) == ["\n\(code)\n"])
  }

  @Test(arguments: [
    "# isn't it </code>", "x = 'never closed </code>\n", "x = '''\nnever closed\n</code>", "'' </code>",
  ])
  func whatIsNoStringHidesNoTag(text: String) {
    let (calls, scanner) = scan("<code>\n" + text, .code)
    #expect(calls.count == 1 && !scanner.isOpen)
  }

  // MARK: - JSON

  private func call(_ code: String) -> String { "{\"name\": \"python\", \"arguments\": {\"code\": \"\(code)\"}}" }

  @Test(arguments: [
    ("print('</tool_call>')", "print('</tool_call>')"), ("a\\n</tool_call>\\nb", "a\n</tool_call>\nb"),
    ("\\\"</tool_call>\\\"", "\"</tool_call>\""), ("\\\\", "\\"), ("<tool_call>", "<tool_call>"),
    ("\u{e9}\u{1F600}", "\u{e9}\u{1F600}"),
  ])
  func closingTagsInJSON(json: String, code: String) {
    for text in ["<tool_call>\n\(call(json))\n</tool_call>", "So <tool_call> \(call(json)) </tool_call>"] {
      #expect(scan(text, .toolCall).calls == [ToolCall(code: code)])
      #expect(codes(text + "\n" + text + text, .toolCall) == [code, code, code])
    }
  }

  @Test(arguments: [
    "the <tool_call> tag", "`<tool_call>` and `</tool_call>`", "a <tool_call>x</tool_call> b", "<tool_call> is a tag.",
  ])
  func callTagsNamedInProse(text: String) {
    #expect(codes(text, .toolCall).isEmpty && !scan(text, .toolCall).scanner.isOpen)
    #expect(codes("\(text)\n<tool_call>\n\(call("x"))\n</tool_call>", .toolCall) == ["x"])
    #expect(codes("Use <tool_call>\n\(text)\n  <tool_call>\(call("x"))</tool_call>", .toolCall).last == "x")
  }

  /// The model is told what is wrong; it must not wait for an end that has been.
  @Test(arguments: [
    "<tool_call>\n{\"name\": \"python, \"code\": 1}\n</tool_call>", "<tool_call>{\"code\": \"a}</tool_call>\n",
    "<tool_call>print(1)</tool_call>", "<tool_call>\n{\"code\": \"a\nb\"}\n</tool_call>",
  ])
  func brokenCallsEnd(text: String) {
    let (calls, scanner) = scan(text, .toolCall)
    #expect(calls.count == 1 && calls[0].problem != nil && !scanner.isOpen)
    var stopped = ToolCallJSON().scanner()
    let found =
      text.utf8.dropLast(text.hasSuffix("\n") ? 1 : 0).compactMap { stopped.push($0) }
      + [stopped.stop()].compactMap(\.self)
    #expect(found.count == 1)
  }

  /// What other readers of JSON would not take is not taken here, and the last of equal keys counts, as in Python.
  @Test func callsAreJSON() {
    func problem(_ json: String) -> String? {
      scan("<tool_call>\n\(json)\n</tool_call>", .toolCall).calls.first?.problem
    }
    #expect(problem("{\"name\": \"python\", \"arguments\": {\"code\": \"1\",}}")?.contains("the call is not") == true)
    #expect(
      problem("{\"name\": \"python\", \"arguments\": {\"code\": \"\\ud800\"}}")?.contains("the call is not") == true)
    #expect(problem("{\"name\": \"search\", \"arguments\": {\"query\": \"x\"}}")?.contains("named \"search\"") == true)
    let twice = "{\"name\": \"python\", \"arguments\": {\"code\": \"1\", \"code\": \"2\"}, \"id\": [{}, null]}"
    #expect(codes("<tool_call>\n\(twice)\n</tool_call>", .toolCall) == ["2"])
    #expect(problem(twice.replacing("\"2\"}", with: "2}")) != nil)
  }

  // MARK: - Pieces

  private static let texts: [(ToolFormats, String)] = [
    (.python, "Let me.\n```python\nx\n```\nSo\n```output\n1 < 2\n```\n\nThen ```py\ny\n```\n\nEnd `x`.\n```python\nz"),
    (.python, "1. a\n   ```python\n   x\n   ```\nb\n~~~\nt\n~~~\n\u{e9}"), (.python, "```\nstray\n```python\nx\n```\n"),
    (.code, "a <code> b\n<code>\nx = '</code>'\n</code>\n\nc </think><code>y</code> d <code>\nz"),
    (.code, "<code> named\n<code>\nx\n</code>\ne"),
    (
      .toolCall,
      "a\n<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"</tool_call>\"}}\n</tool_call>\n<tool_call>{"
    ),
  ]

  /// At every byte the pieces are those of the text up to there, in order, and agree with the calls and with `isOpen`.
  @Test(arguments: texts) func piecesAgreeWithCalls(tools: ToolFormats, text: String) {
    var scanner = tools.reading.scanner()
    var calls = 0
    let whole = Array(text.utf8)
    for (count, byte) in whole.enumerated() {
      if scanner.push(byte) != nil { calls += 1 }
      let pieces = scanner.pieces
      var end = 0
      var closed = 0
      for piece in pieces {
        switch piece {
        case .prose(let range), .tool(let range):
          #expect(range.lowerBound >= end && range.upperBound <= count + 1 && !range.isEmpty)
          end = range.upperBound
        case .code(let range, let isClosed):
          #expect(range.lowerBound >= end && range.upperBound <= count + 1)
          end = range.upperBound
          closed += isClosed ? 1 : 0
        }
      }
      // A closing fence counts for the scanner when its line ends.
      #expect(closed == calls || (tools == .python && closed == calls + 1 && byte != 0x0A))
      if byte == 0x0A, case .code(_, false)? = pieces.last { #expect(scanner.isOpen) }
    }
  }

  @Test func piecesOfAResponse() {
    func laidOut(_ index: Int) -> [String] {
      let (tools, text) = Self.texts[index]
      return scan(text, tools).scanner.pieces.map {
        switch $0 {
        case .prose(let range): "prose " + bytes(text, range)
        case .code(let range, let closed): (closed ? "code " : "open ") + bytes(text, range)
        case .tool: "tool"
        }
      }
    }
    #expect(
      laidOut(0) == [
        "prose Let me.\n", "code x\n", "prose So\n", "prose Then ", "code y\n", "prose End `x`.\n", "open z",
      ])
    #expect(laidOut(1) == ["prose 1. a\n   ", "code    x\n", "prose b\n", "prose \u{e9}"])
    #expect(laidOut(2) == ["code x\n"])
    #expect(
      laidOut(3) == [
        "prose a <code> b\n", "code \nx = '</code>'\n", "prose c </think>", "code y", "prose  d ", "open \nz",
      ])
    #expect(laidOut(4) == ["prose <code> named\n", "code \nx\n", "prose e"])
    #expect(laidOut(5)[0] == "prose a\n" && laidOut(5).count == 3 && laidOut(5)[2] == "open {")
  }

  /// The stop token is text for those who read a response later.
  @Test(arguments: [
    (ToolFormats.python, "```python\nx\n```"), (.code, "<code>\nx = '</code>"),
    (.toolCall, "<tool_call>{\"a\": \"b}</tool_call>"),
  ])
  func aCallEndedByTheModelsStopIsClosed(tools: ToolFormats, text: String) throws {
    var scanner = tools.reading.scanner()
    for byte in text.utf8 { #expect(scanner.push(byte) == nil) }
    var later = scanner
    #expect(scanner.stop() != nil)
    for byte in "<|im_end|>".utf8 { _ = later.push(byte) }
    later.skip(9)
    let closed = later.pieces.contains { if case .code(_, true) = $0 { true } else { false } }
    #expect(closed && later.pieces.count == 2 && !later.isOpen)
  }

  @Test(arguments: [ToolFormats.python, .toolCall, .code]) func aHintOpensACall(tools: ToolFormats) throws {
    let tokenizer = try RolloutFixtures.tokenizer()
    var finder = HintFinder()
    finder.tools = tools
    let text = finder.text(.delayed, after: Array("So.".utf8))
    #expect(text.hasPrefix(" It looks tedious, and we can use python code to simplify the reasoning.\n"))
    let prefix = Prefix(hint: text, kind: .delayed, reason: "r", tokenizer: tokenizer)
    #expect(prefix.hasOpenCall(tokenizer, tools: tools) && tools.reading.opensCall(text))
    for other in [ToolFormats.python, .toolCall, .code] where other != tools {
      #expect(!prefix.hasOpenCall(tokenizer, tools: other) && !other.reading.opensCall(text))
    }
    #expect(!tools.reading.opensCall(finder.text(.distrust, after: [])))
  }

  @Test func outputsWithoutTheirFrame() {
    for tools in [ToolFormats.python, .toolCall, .code] {
      let format = tools.reading
      for output in ["4\n", "", "a\n\nb\n", "```\n</output>\n</tool_response>\n4\n"] {
        for isLast in [false, true] {
          let reply = format.reply(to: output, joined: !isLast, isLast: isLast)
          #expect(
            format.output(of: reply)
              == output.split(separator: "\n", omittingEmptySubsequences: false).dropLast().joined(separator: "\n"))
          #expect(ToolFormats(reply: reply) == tools)
        }
      }
      #expect(format.output(of: "No further code will be run.\n") == nil)
    }
  }
}
