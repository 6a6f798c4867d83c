import Foundation
import Testing
import Tokenization

struct ChatTemplateTests {
  struct Case: Decodable {
    var template: BuiltinTemplate
    var messages: [ChatMessage]
    var addGenerationPrompt: Bool
    var text: String
  }

  @Test func builtinFormsEqualTheOfficialTemplates() throws {
    struct File: Decodable { var cases: [Case] }
    let cases = try JSONDecoder().decode(File.self, from: TokenizerFixtures.data("chat-templates.json")).cases
    #expect(cases.count == 24)
    for test in cases {
      let text = test.template.render(test.messages, addGenerationPrompt: test.addGenerationPrompt)
      #expect(text.utf8.elementsEqual(test.text.utf8), "\(test.template) \(test.messages)")
    }
  }

  @Test func noneIsTheContentsAlone() {
    let messages = [
      ChatMessage(role: "user", content: "Question: 1+1\n"), ChatMessage(role: "assistant", content: "2"),
    ]
    #expect(BuiltinTemplate.none.render(messages, addGenerationPrompt: true) == "Question: 1+1\n2")
    #expect(BuiltinTemplate.none.render([], addGenerationPrompt: false) == "")
  }
}
