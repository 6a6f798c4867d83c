import Foundation
import Testing
import Transformer

struct ChatTemplateTests {
  struct Case: Decodable {
    var template: BuiltinTemplate
    var keepThinking: Bool
    var messages: [ChatMessage]
    var addGenerationPrompt: Bool
    var text: String
  }

  @Test func builtinFormsEqualTheOfficialTemplates() throws {
    struct File: Decodable { var cases: [Case] }
    let cases = try JSONDecoder().decode(File.self, from: TokenizerFixtures.data("chat-templates.json")).cases
    #expect(cases.count == 36)
    for test in cases {
      // Training opens reasoning that the message does not open; the official template leaves it as it is.
      let opens = test.keepThinking && test.template == .deepseek
      let expected =
        opens ? test.text.replacing("<｜Assistant｜>B</think>", with: "<｜Assistant｜><think>\nB</think>") : test.text
      let text = test.template.render(
        test.messages, addGenerationPrompt: test.addGenerationPrompt, keepThinking: test.keepThinking)
      #expect(text.utf8.elementsEqual(expected.utf8), "\(test.template) \(test.messages)")
    }
  }

  @Test func trainingContinuesTheGenerationPrompt() {
    let question = [ChatMessage(role: "user", content: "1+1?")]
    for content in ["<think>\nEasy.\n</think>\n\n2", "Easy.\n</think>\n\n2"] {
      let prompt = BuiltinTemplate.deepseek.render(question, addGenerationPrompt: true)
      let whole = BuiltinTemplate.deepseek.render(
        question + [ChatMessage(role: "assistant", content: content)], addGenerationPrompt: false)
      #expect(prompt == "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜><think>\n")
      #expect(whole == prompt + "Easy.\n</think>\n\n2<｜end▁of▁sentence｜>")
    }
  }

  @Test func noneIsTheContentsAlone() {
    let messages = [
      ChatMessage(role: "user", content: "Question: 1+1\n"), ChatMessage(role: "assistant", content: "2"),
    ]
    #expect(BuiltinTemplate.none.render(messages, addGenerationPrompt: true) == "Question: 1+1\n2")
    #expect(BuiltinTemplate.none.render([], addGenerationPrompt: false) == "")
    #expect(BuiltinTemplate.allCases.map(\.endOfTurn) == ["<|im_end|>", "<｜end▁of▁sentence｜>", nil])
  }
}
