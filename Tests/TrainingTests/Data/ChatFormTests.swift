import Foundation
import Rollout
import Support
import Testing
import Tokenization

@testable import Training

/// Prompts and training sequences beside transformers' `apply_chat_template`, form by form.
@Suite struct ChatFormTests {
  static let forms: [String: (end: String, stops: Int)] = [
    "llama31": ("<|eot_id|>", 3), "llama32": ("<|eot_id|>", 3), "qwen25": ("<|im_end|>", 2), "qwen3": ("<|im_end|>", 1),
    "r1": ("<｜end▁of▁sentence｜>", 1), "smollm2": ("<|im_end|>", 1),
  ]
  let fixture: ChatForms

  init() throws { fixture = try ChatForms() }

  /// The text of a sequence's learnt tokens, turn by turn.
  private func learnt(_ sequence: (tokens: [Int32], trained: [Bool]), _ tokenizer: Tokenizer) -> [String] {
    var runs: [[Int32]] = []
    for (place, token) in sequence.tokens.enumerated() where sequence.trained[place] {
      if place > 0, sequence.trained[place - 1] { runs[runs.count - 1].append(token) } else { runs.append([token]) }
    }
    return runs.map(tokenizer.decode)
  }

  @Test(arguments: forms.keys.sorted()) func theEndOfATurnIsTheTemplates(name: String) throws {
    let (loaded, builder) = try fixture.builder(name)
    let end = try #require(Self.forms[name])
    #expect(builder.endOfTurn == [try #require(loaded.tokenizer.token(end.end))])
    #expect(builder.stopTokens.contains(builder.endOfTurn[0]) && builder.stopTokens.count == end.stops)
  }

  /// Whatever the files call the end of a text.
  @Test(arguments: [("llama31", "<|end_of_text|>", "<|eot_id|>"), ("qwen25", "<|endoftext|>", "<|im_end|>")])
  func theEndOfATextIsNotThatOfATurn(name: String, endOfText: String, endOfTurn: String) throws {
    let loaded = try fixture.model(name) {
      $0["tokenizer_config.json"] = $0["tokenizer_config.json"]?.replacing(
        "\"eos_token\": \"\(endOfTurn)\"", with: "\"eos_token\": \"\(endOfText)\"")
    }
    #expect(loaded.specialTokens.end == endOfText)
    let builder = try PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil)
    #expect(builder.endOfTurn == [try #require(loaded.tokenizer.token(endOfTurn))])
    #expect(builder.stopTokens.isSuperset(of: builder.endOfTurn))
  }

  /// Where transformers' text of a conversation goes on from the prompt, that is what is learnt, word for word.
  @Test(arguments: forms.keys.sorted()) func conversationsAreWhatTransformersRenders(name: String) throws {
    let cases = try fixture.cases(name)
    #expect(!cases.isEmpty)
    for item in cases {
      let (loaded, builder) = try fixture.builder(name) { $0.templateVariables = item.variables }
      let conversation = try Conversation(messages: item.messages, tools: item.tools)
      let messages = conversation.messages
      #expect(
        try builder.form.render(messages, tools: item.tools, addGenerationPrompt: false) == item.text, "\(item.name)")
      let sequences = try builder.sequences(conversation)
      #expect(sequences.map { learnt($0, loaded.tokenizer).count }.reduce(0, +) == conversation.trained.count)
      let first = try #require(sequences.first)
      // R1's prompts open <think>: an answer without reasoning stands in another context, which the test below has.
      if name != "r1" || item.name.hasPrefix("thinking") {
        #expect(first.tokens.starts(with: item.firstPromptIDs), "\(item.name)")
      }
      let last = try #require(sequences.last)
      let text = loaded.tokenizer.decode(last.tokens)
      let prompt = try #require(item.prompts.last)
      if item.text.hasPrefix(prompt) {
        let end = try #require(Self.forms[name]).end
        #expect(item.text == text || item.text == text + "\n", "\(item.name)")
        #expect(text.hasPrefix(prompt) && text.hasSuffix(end), "\(item.name)")
        #expect(learnt(last, loaded.tokenizer).last.map { prompt + $0 } == text, "\(item.name)")
      }
    }
  }

  /// What is learnt of each sequence, by hand.
  @Test(arguments: [
    ("llama31", "two turns", [["hello world<|eot_id|>", "hello user<|eot_id|>"]]),
    ("smollm2", "two turns", [["hello world<|im_end|>", "\nhello user \n<|im_end|>"]]),
    ("qwen25", "two turns", [["hello world<|im_end|>", "\nhello user \n<|im_end|>"]]),
    // The last answer has a <think> section, which the template drops once the next question comes.
    (
      "qwen3", "two turns",
      [["<think>\n\n</think>\n\nhello world<|im_end|>"], ["<think>\n\n</think>\n\nhello user \n<|im_end|>"]]
    ),
    ("qwen3", "reasoning", [["<think>\nhm\n</think>\n\nFour<|im_end|>"]]),
    ("qwen3", "no thinking", [["hello world<|im_end|>"]]),
    // The prompt opens <think>: the answer goes on inside of it.
    ("r1", "thinking", [["hm\n</think>\n\nFour<｜end▁of▁sentence｜>"]]),
    (
      "r1", "thinking twice", [["hm\n</think>\n\nFour<｜end▁of▁sentence｜>"], ["so\n</think>\n\nSix<｜end▁of▁sentence｜>"]]
    ),
    // An answer without reasoning follows the assistant's tag, as the template has it.
    ("r1", "plain", [["hello world<｜end▁of▁sentence｜>"]]),
    ("r1", "two turns", [["hello world<｜end▁of▁sentence｜>", "\nhello user \n<｜end▁of▁sentence｜>"]]),
    (
      "qwen25", "tool calls",
      [
        [
          "<tool_call>\n{\"name\": \"python\", \"arguments\": {\"code\": \"print(2**9)\"}}\n</tool_call><|im_end|>",
          "It is 512.<|im_end|>",
        ]
      ]
    ),
  ]) func whatIsLearnt(name: String, item: String, expected: [[String]]) throws {
    let given = try #require(try fixture.cases(name).first { $0.name == item })
    let (loaded, builder) = try fixture.builder(name) { $0.templateVariables = given.variables }
    let sequences = try builder.sequences(Conversation(messages: given.messages, tools: given.tools))
    #expect(sequences.map { learnt($0, loaded.tokenizer) } == expected)
    for sequence in sequences {
      let text = loaded.tokenizer.decode(sequence.tokens)
      #expect(text.components(separatedBy: "<think>").count <= text.components(separatedBy: "</think>").count)
    }
  }

  @Test(arguments: [TemplateChoice.auto, .deepseek]) func thinkStandsOnce(template: TemplateChoice) throws {
    let (loaded, builder) = try fixture.builder("r1") { $0.template = template }
    for response in ["<think>\nhm\n</think>\n\nFour", "hm\n</think>\n\nFour", "<think>hm\n</think>\n\nFour"] {
      let sequence = try #require(try builder.sequences(Conversation(prompt: "2+2?", response: response)).first)
      #expect(learnt(sequence, loaded.tokenizer) == ["hm\n</think>\n\nFour<｜end▁of▁sentence｜>"])
      #expect(
        loaded.tokenizer.decode(sequence.tokens).hasPrefix(
          "<｜begin▁of▁sentence｜><｜User｜>2+2?<｜Assistant｜><think>\nhm\n</think>"))
    }
  }

  @Test func thinkingBehindAClosedSectionIsRefused() throws {
    let (_, builder) = try fixture.builder("qwen3") { $0.templateVariables = ["enable_thinking": .bool(false)] }
    let conversation = Conversation(prompt: "2+2?", response: "<think>\nhm\n</think>\n\nFour")
    let error = #expect(throws: MartletError.self) { try builder.sequences(conversation) }
    #expect(error?.message.contains("messages[1]") == true && error?.message.contains("<think>") == true)
  }

  /// A form that writes no end of a turn has the model's own end of text.
  @Test func aTemplateWithoutEndsHasTheModels() throws {
    let loaded = try fixture.model("llama31") {
      $0["tokenizer_config.json"] = """
        {"eos_token": "<|end_of_text|>", "chat_template": "{% for m in messages %}{{ m.role }}: {{ m.content }}\\n\\n\
        {% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"}
        """
    }
    let builder = try PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil)
    #expect(builder.endOfTurn == [try #require(loaded.tokenizer.token("<|end_of_text|>"))])
    let sequence = try #require(try builder.sequences(Conversation(prompt: "hi", response: "hello")).first)
    #expect(learnt(sequence, loaded.tokenizer) == ["hello\n\n<|end_of_text|>"])
  }

  /// Mistral shows the system message in the last question alone, so each answer changes what stands before it.
  @Test func anAnswerIsLearntBehindTheQuestionThatIsAsked() throws {
    let loaded = try fixture.model("r1") {
      $0["tokenizer_config.json"] = """
        {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": "<｜end▁of▁sentence｜>", "chat_template": "{{ bos_token }}\
        {% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}[INST] \
        {% if loop.last and messages[0].role \
        == 'system' %}{{ messages[0].content }}\\n\\n{% endif %}{{ m.content }}[/INST]{% else %} {{ m.content }}\
        {{ eos_token }}{% endif %}{% endfor %}"}
        """
    }
    let builder = try PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil)
    let messages = try Self.conversation(
      #"""
      [{"role":"system","content":"Be kind."},{"role":"user","content":"q"},{"role":"assistant","content":"a"},
       {"role":"user","content":"r"},{"role":"assistant","content":"b"}]
      """#)
    let sequences = try builder.sequences(messages)
    let end = "<｜end▁of▁sentence｜>"
    #expect(sequences.map { learnt($0, loaded.tokenizer) } == [[" a" + end], [" b" + end]])
    #expect(
      sequences.map { loaded.tokenizer.decode($0.tokens) } == [
        "<｜begin▁of▁sentence｜>[INST] Be kind.\n\nq[/INST] a" + end,
        "<｜begin▁of▁sentence｜>[INST] q[/INST] a\(end)[INST] Be kind.\n\nr[/INST] b" + end,
      ])
  }

  /// Tables write an empty list or text where a row has none; nothing is lost with it.
  @Test func emptyFieldsAreNothing() throws {
    let (_, builder) = try fixture.builder("qwen25")
    func tokens(_ fields: String, tools: String? = nil) throws -> [[Int32]] {
      let messages = #"[{"role":"user","content":"q"},{"role":"assistant","content":"a"\#(fields)}]"#
      return try builder.sequences(Self.conversation(messages, tools: tools)).map(\.tokens)
    }
    let bare = try tokens("")
    for fields in [#","tool_calls":[]"#, #","reasoning_content":"""#, #","name":"""#, #","tool_calls":null"#] {
      #expect(try tokens(fields) == bare, "\(fields)")
    }
    #expect(try tokens("", tools: "[]") == bare)
  }

  /// R1 asks whether the content of a message with calls is none, which is not the same as absent.
  @Test func aNullContentIsNone() throws {
    let message = try #require(
      try Self.conversation(
        #"[{"role":"assistant","content":null,"name":null,"tool_calls":[{"function":{"name":"f"}}]}]"#
      ).messages.first)
    #expect(message.fields.text.contains(#""content": null"#) && !message.fields.text.contains("name\": null"))
    let template = "{% for m in messages %}{% if m.content is none %}none{% endif %}{% endfor %}"
    let text = try ChatTemplateRenderer().render(
      template: template, ChatTemplateInput([message], addGenerationPrompt: false))
    #expect(text == "none")
  }

  @Test func weightsSayWhichTurnsAreLearnt() throws {
    let (loaded, builder) = try fixture.builder("llama31")
    func learntTurns(_ first: String, _ second: String) throws -> [[String]] {
      let conversation = try Self.conversation(
        """
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"\(first)}, \
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"\(second)}]
        """)
      return try builder.sequences(conversation).map { learnt($0, loaded.tokenizer) }
    }
    #expect(try learntTurns("", "") == [["b<|eot_id|>", "d<|eot_id|>"]])
    #expect(try learntTurns(#", "weight": 0"#, #", "weight": 1"#) == [["d<|eot_id|>"]])
    #expect(try learntTurns(#", "weight": 1.0"#, #", "weight": 0.0"#) == [["b<|eot_id|>"]])
    #expect(try learntTurns(#", "weight": 0"#, #", "weight": 0"#) == [])
  }

  static func conversation(_ messages: String, tools: String? = nil) throws -> Conversation {
    func value(_ text: String) throws -> JSONValue {
      try Array(text.utf8).withUnsafeBufferPointer {
        var scanner = JSONScanner($0, path: "line")
        return try scanner.value()
      }
    }
    return try Conversation(messages: value(messages), tools: tools.map(value))
  }

  /// Nothing is dropped: what a template does not show, and what nobody reads, is named.
  @Test(
    arguments: [
      (
        "smollm2", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a","tool_calls":[{"name":"f"}]}]"#,
        nil, "messages[1].tool_calls"
      ),
      (
        "smollm2", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"r"}]"#, nil,
        "messages[1].reasoning_content"
      ),
      (
        "r1", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"r"}]"#, nil,
        "messages[1].reasoning_content"
      ),
      (
        "r1", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#, #"[{"type":"function"}]"#, "tools"
      ),
      (
        "r1", #"[{"role":"user","content":"q"},{"role":"developer","content":"d"},{"role":"assistant","content":"a"}]"#,
        nil, "messages[1] (developer)"
      ),
      (
        "qwen25", #"[{"role":"user","content":"q","name":"Ann"},{"role":"assistant","content":"a"}]"#, nil,
        "messages[0].name"
      ),
      (
        "qwen25", #"[{"role":"user","content":"q","weight":1},{"role":"assistant","content":"a"}]"#, nil,
        "messages[0].weight"
      ),
      (
        "qwen25", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a","weight":0.5}]"#, nil,
        "messages[1].weight"
      ),
      (
        "qwen25", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a","tool_call":[]}]"#, nil,
        "did you mean tool_call"
      ),
      (
        "qwen25", #"[{"role":"user","content":"q"},{"role":"tool","content":"1","tool_call_id":"x"}]"#, nil,
        "messages[1].tool_call_id"
      ),
      ("qwen25", #"[{"role":"gpt","content":"q"}]"#, nil, "messages[0].role"),
      ("qwen25", #"[{"role":"user","content":[{"type":"text","text":"q"}]}]"#, nil, "messages[0].content"),
      ("qwen25", #"[{"role":"user"}]"#, nil, "messages[0].content"),
      ("qwen25", #"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#, #"{"f":1}"#, "tools"),
    ] as [(String, String, String?, String)])
  func whatWouldBeLostIsRefused(name: String, messages: String, tools: String?, place: String) throws {
    let (_, builder) = try fixture.builder(name)
    let error = #expect(throws: MartletError.self) {
      try builder.sequences(Self.conversation(messages, tools: tools))
    }
    #expect(error?.status == .data && error?.message.contains(place) == true, "\(error?.message ?? "")")
  }

  @Test func builtinFormsKnowNoToolCalls() throws {
    let (_, builder) = try fixture.builder("qwen25") { $0.template = .chatml }
    let item = try #require(try fixture.cases("qwen25").first { $0.name == "tool calls" })
    let error = #expect(throws: MartletError.self) {
      try builder.sequences(Conversation(messages: item.messages, tools: item.tools))
    }
    #expect(error?.message.contains("messages[1].tool_calls") == true)
  }

  @Test func theSystemMessageStandsBeforeConversationsWithoutOne() throws {
    let (loaded, builder) = try fixture.builder("smollm2") { $0.system = "Be kind." }
    let messages = #"[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]"#
    func text(_ messages: String) throws -> String {
      loaded.tokenizer.decode(try #require(try builder.sequences(Self.conversation(messages)).first).tokens)
    }
    #expect(try text(messages).hasPrefix("<|im_start|>system\nBe kind.<|im_end|>\n"))
    let own = #"[{"role":"system","content":"s"},"# + messages.dropFirst()
    #expect(try text(own).hasPrefix("<|im_start|>system\ns<|im_end|>\n"))
  }
}
