import Foundation
import Rollout
import Support
import Testing
import Tokenization

@Suite struct PythonWorkerTests {
  private struct Fixture: Decodable {
    struct Message: Decodable {
      var role: String
      var content: String
    }
    struct Case: Decodable {
      var name: String
      var template: String
      var messages: [Message]
      var add_generation_prompt: Bool
      var text: String?
    }
    var tokens: [String: String]
    var cases: [Case]
  }

  static let renderer = ChatTemplateRenderer(limit: 60)

  @Test func templatesRenderAsInTransformers() throws {
    let url = try #require(
      Bundle.module.url(forResource: "chat-templates", withExtension: "json", subdirectory: "Fixtures"))
    let fixture = try JSONDecoder().decode(Fixture.self, from: try Data(contentsOf: url))
    #expect(fixture.cases.count == 24)
    for item in fixture.cases {
      let messages = item.messages.map { ChatMessage(role: $0.role, content: $0.content) }
      func render() throws -> String {
        try Self.renderer.render(
          template: item.template,
          ChatTemplateInput(
            messages, addGenerationPrompt: item.add_generation_prompt,
            variables: fixture.tokens.map { ($0.key, JSONValue($0.value)) }))
      }
      if let text = item.text {
        #expect(try render() == text, "\(item.name)")
      } else {
        #expect(throws: MartletError.self) { try render() }
      }
    }
  }

  @Test func templatesCannotLoopForEverOrLookAround() throws {
    let impatient = ChatTemplateRenderer(limit: 1)
    func render(_ template: String) throws -> String {
      try impatient.render(
        template: template, ChatTemplateInput([ChatMessage(role: "user", content: "x")], addGenerationPrompt: false))
    }
    let endless = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    for _ in 0..<2 {
      let error = #expect(throws: MartletError.self) { try render(endless) }
      #expect(error?.message.contains("more than 1.0 s") == true)
      #expect(error?.status == .data)
    }
    let peek = #expect(throws: MartletError.self) { try render("{{ ''.__class__.__mro__ }}") }
    #expect(peek?.message.contains("SecurityError") == true)
    let change = #expect(throws: MartletError.self) { try render("{{ messages.append(1) }}") }
    #expect(change?.message.contains("SecurityError") == true)
    let broken = #expect(throws: MartletError.self) { try render("{% if %}") }
    #expect(broken?.message.contains("TemplateSyntaxError") == true)
    #expect(try render("{{ messages[0].content }}") == "x")
  }

  @Test func aKilledWorkerIsStartedAgain() throws {
    let worker = PythonWorker(kind: .template)
    func render() throws -> String {
      struct Reply: Decodable { var text: String }
      let request: [String: Any] = [
        "template": "a{{ b }}", "messages": "[]", "tools": "null", "add_generation_prompt": false,
        "variables": #"{"b": "c"}"#, "date": NSNull(),
      ]
      return try JSONDecoder().decode(Reply.self, from: try worker.call(request, limit: 60)).text
    }
    #expect(try render() == "ac")
    let first = try #require(worker.processIdentifier)
    kill(first, SIGKILL)
    #expect(try render() == "ac")
    #expect(worker.processIdentifier != first)
    worker.stop()
    #expect(worker.processIdentifier == nil)
    #expect(try render() == "ac")
  }

  @Test func aMissingPythonIsNamed() {
    let error = #expect(throws: MartletError.self) { try PythonRuntime.python("/nowhere/python3") }
    #expect(error?.status == .configuration)
    #expect(error?.message.contains("/nowhere/python3") == true)
  }
}
