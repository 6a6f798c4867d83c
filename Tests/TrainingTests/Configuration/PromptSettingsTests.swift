import Foundation
import Rollout
import Support
import Synchronization
import TestSupport
import Testing
import Transformer

@testable import Training

/// Begin tokens, dates, template variables, and prompts that leave no room.
@Suite struct PromptSettingsTests {
  let fixture: ChatForms

  init() throws { fixture = try ChatForms() }

  private static let template = #""chat_template": "{{ bos_token }}{{ messages[0].content }}""#

  /// As the files say: the post-processor, else add_bos_token; never twice, and not where a template writes its own.
  @Test(
    arguments: [
      ("llama31", [:], true),
      ("qwen25", [:], false),
      ("r1", [:], false),
      ("r1", ["tokenizer_config.json": #"{"bos_token": "<｜begin▁of▁sentence｜>", "add_bos_token": true}"#], true),
      (
        "r1", ["tokenizer_config.json": #"{"bos_token": {"content": "<｜begin▁of▁sentence｜>"}, "add_bos_token": true}"#],
        true
      ),
      (
        "r1",
        [
          "tokenizer_config.json": #"{"add_bos_token": true}"#,
          "special_tokens_map.json": #"{"bos_token": {"content": "<｜begin▁of▁sentence｜>"}}"#,
        ], true
      ),
      // The tokenizer's own file has the last word, as in transformers 5.
      ("llama31", ["tokenizer_config.json": #"{"bos_token": "<|begin_of_text|>", "add_bos_token": false}"#], true),
    ] as [(String, [String: String], Bool)])
  func plainTextsBeginAsTheFilesSay(name: String, files: [String: String], begins: Bool) throws {
    let loaded = try fixture.model(name) { $0.merge(files) { $1 } }
    let spellings = ["r1": "<｜begin▁of▁sentence｜>", "llama31": "<|begin_of_text|>"]
    let begin = try #require(loaded.tokenizer.token(spellings[name] ?? "<|endoftext|>"))
    let bare = loaded.tokenizer.encode("hello")
    #expect(loaded.encodePlain("hello") == (begins ? [begin] : []) + bare)
    let spelt = loaded.tokenizer.decode([begin]) + "hello"
    #expect(loaded.encodePlain(spelt) == [begin] + bare)
    var prompt = Configuration.Prompt()
    prompt.template = .none
    let line = loaded.tokenizer.encode("\n")
    #expect(
      try PromptBuilder(loaded, settings: prompt, python: nil).prompt(text: "hello") == (begins ? [begin] : []) + bare
        + line)
    #expect(loaded.tokenizer.encode("hello") == bare)
  }

  @Test func templatesAreGivenTheSpecialTokens() throws {
    let loaded = try fixture.model("llama31") {
      $0["tokenizer_config.json"] = "{\(Self.template)}"
      $0["special_tokens_map.json"] = #"{"bos_token": "<|begin_of_text|>"}"#
    }
    let builder = try PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil)
    let begin = try #require(loaded.tokenizer.token("<|begin_of_text|>"))
    #expect(try builder.prompt(text: "hello") == [begin] + loaded.tokenizer.encode("hello"))
  }

  @Test func theDayIsTheConfigurations() throws {
    func system(_ name: String, _ date: String?) throws -> String {
      let (loaded, builder) = try fixture.builder(name) { $0.date = date }
      return loaded.tokenizer.decode(try builder.prompt(text: "hi"))
    }
    #expect(try system("llama32", "2025-12-31").contains("Today Date: 31 Dec 2025\n"))
    #expect(try system("llama31", "2025-12-31").contains("Today Date: 31 Dec 2025\n"))
    #expect(try system("llama31", nil).contains("Today Date: 26 Jul 2024\n"))
  }

  @Test func aRunKeepsItsDay() throws {
    let folder = try ScratchFolder()
    let form = try fixture.form("llama32")
    try folder.write(try #require(form["tokenizer"]).text, "tokenizer.json")
    try folder.write(try #require(form["tokenizer_config"]).text, "tokenizer_config.json")
    var configuration = Configuration()
    let shape = ModelConfiguration(
      architecture: .llama, hiddenSize: 8, intermediateSize: 8, layerCount: 1, heads: .init(1), vocabularySize: 1)
    configuration.newModel = .init(tokenizer: folder.path, shape: shape)
    let begun = try configuration.resolvingDate(folder: folder.path)
    #expect(begun.prompt.date == Configuration.Prompt.today)
    configuration.prompt.date = "2024-02-29"
    try folder.write(try configuration.yaml(), "config.yaml")
    configuration.prompt.date = nil
    #expect(try configuration.resolvingDate(folder: folder.path).prompt.date == "2024-02-29")
    configuration.prompt.date = "2025-01-01"
    #expect(try configuration.resolvingDate(folder: folder.path).prompt.date == "2025-01-01")
    // No template, no day.
    configuration.prompt.date = nil
    configuration.prompt.template = .none
    #expect(try configuration.resolvingDate(folder: folder.path).prompt.date == nil)
  }

  @Test func variablesReachTheTemplate() throws {
    let tree = try ConfigurationTree(
      yaml:
        "run: a\nprompt: {template_variables: {enable_thinking: false, n: 2, x: 0.5, s: t, l: [1, a], m: {k: true}}}",
      path: "c.yaml")
    let prompt = try Configuration(tree: tree, path: "c.yaml").prompt
    #expect(
      prompt.templateVariables == [
        "enable_thinking": .bool(false), "n": .integer(2), "x": .number(0.5), "s": .text("t"),
        "l": .list([.integer(1), .text("a")]), "m": .object(["k": .bool(true)]),
      ])
    let loaded = try fixture.model("qwen3") {
      $0["tokenizer_config.json"] = """
        {"chat_template": "{{ enable_thinking }} {{ n + 1 }} {{ x * 2 }} {{ s }} {{ l | tojson }} {{ m.k }} \
        {{ messages[0].content }}"}
        """
    }
    let builder = try PromptBuilder(loaded, settings: prompt, python: nil)
    #expect(loaded.tokenizer.decode(try builder.prompt(text: "q")) == #"False 3 1.0 t [1, "a"] True q"#)
  }

  /// What changes nothing is refused by name.
  @Test(arguments: [
    ("qwen3", TemplateChoice.auto, "enable_thinkin: false", "of such names it reads"),
    ("qwen3", .none, "enable_thinking: false", "none is used here"),
    ("qwen3", .chatml, "enable_thinking: false", "none is used here"),
  ]) func variablesThatNobodyReadsAreRefused(name: String, template: TemplateChoice, yaml: String, why: String) throws {
    let tree = try ConfigurationTree(yaml: "run: a\nprompt: {template_variables: {\(yaml)}}", path: "c.yaml")
    var prompt = try Configuration(tree: tree, path: "c.yaml").prompt
    prompt.template = template
    let loaded = try fixture.model(name)
    let error = #expect(throws: MartletError.self) { try PromptBuilder(loaded, settings: prompt, python: nil) }
    #expect(error?.message.contains("prompt.template_variables.enable_thinkin") == true)
    #expect(error?.message.contains(why) == true, "\(error?.message ?? "")")
    prompt.templateVariables = [:]
    prompt.date = "2026-01-01"
    let date = #expect(throws: MartletError.self) { try PromptBuilder(loaded, settings: prompt, python: nil) }
    #expect(date?.message.contains("prompt.date") == true)
  }

  @Test(arguments: [
    ("prompt: {date: 2026-02-30}", "prompt.date"), ("prompt: {date: today}", "prompt.date"),
    ("prompt: {template_variables: {messages: 1}}", "prompt.template_variables.messages"),
    ("prompt: {overlong: skipp}", "did you mean skip"),
  ]) func settingsWithoutSenseAreRefused(yaml: String, message: String) throws {
    let error = #expect(throws: MartletError.self) {
      try Configuration(tree: ConfigurationTree(yaml: "run: a\n" + yaml, path: "c.yaml"), path: "c.yaml")
    }
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  /// Prompts of 1,999 and more bytes behind a context of 2,048 tokens, whose letters are a token each.
  @Test func promptsWithoutRoomAreFoundBeforeSampling() throws {
    let folder = try ScratchFolder()
    func problem(_ count: Int) -> String {
      #"{"problem": ""# + String(repeating: "x", count: count) + #"", "gt_answer": "1"}"#
    }
    // With its line end the second fills the context but for one token.
    try folder.write([10, 2046, 2047, 20, 3000].map(problem).joined(separator: "\n"), "p.jsonl")
    let path = folder.path + "/p.jsonl"
    let loaded = try fixture.model("qwen25")
    var configuration = Configuration()
    configuration.prompt.template = .none
    func admit() throws -> ([Problem], [String]) {
      let builder = try PromptBuilder(loaded, settings: configuration.prompt, python: nil)
      let said = Mutex<[String]>([])
      let room = PromptRoom(loaded, builder: builder, configuration: configuration)
      let problems = try room.admit(
        Stage.problems([path], key: "data"), list: folder.path + "/skipped.jsonl",
        onEvent: { if case .warning(let text) = $0 { said.withLock { $0.append(text) } } })
      return (problems, said.withLock { $0 })
    }
    let error = #expect(throws: MartletError.self) { try admit() }
    #expect(error?.message.contains("\(path):3: the prompt has 2048 tokens") == true, "\(error?.message ?? "")")
    configuration.prompt.overlong = .skip
    let (problems, said) = try admit()
    #expect(problems.map(\.problem.count) == [10, 2046, 20])
    #expect(said.count == 1 && said[0].hasPrefix("left out: 2 of 5 problems"))
    let list = try String(contentsOfFile: folder.path + "/skipped.jsonl", encoding: .utf8)
    #expect(list.contains("\(path):3\", \"tokens\": 2048}") && list.contains("\(path):5\", \"tokens\": 3001}"))
    // A hint that every response begins with takes room as well.
    configuration.prompt.hint = "So"
    #expect(try admit().0.map(\.problem.count) == [10, 20])
    try folder.write(problem(4000), "p.jsonl")
    #expect(throws: MartletError.self) { try admit() }
  }
}
