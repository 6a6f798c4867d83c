import Foundation
import Rollout
import Testing

@Suite struct AnswerTests {
  @Test(arguments: [
    (#"so \boxed{5}."#, "5"),
    (#"\boxed{1} then \boxed{\frac{1}{2}}"#, #"\frac{1}{2}"#),
    (#"\boxed{\{1,2\}}"#, #"\{1,2\}"#),
    (#"\boxed{ \text{a {b} c} }"#, #"\text{a {b} c}"#),
    (#"\boxed {7}"#, "7"),
    (#"\boxed 42"#, "42"),
    (#"\boxed{3} and the cut-off \boxed{4"#, "3"),
    (#"<think>\boxed{1}</think> it is \boxed{2}"#, "2"),
    (#"<think>\boxed{9} never closed"#, "9"),
    (#"\boxed{\boxed{8}}"#, "8"),
    ("\\boxed{\n x = 1\n}", "x = 1"),
  ]) func lastCompleteBoxIsTheAnswer(_ text: String, _ answer: String) {
    #expect(extractAnswer(text) == answer)
  }

  @Test(arguments: [
    "", "no box", #"\boxed{}"#, #"\boxed{  }"#, #"\boxed{4"#, #"\boxed"#, #"\boxedx{3}"#, #"\boxed{1}</think> done"#,
    #"\boxed{5\}"#,
  ]) func withoutACompleteBoxThereIsNoAnswer(_ text: String) {
    #expect(extractAnswer(text) == nil)
  }

  @Test func deepNestingIsReadInOnePass() {
    let deep = String(repeating: "{", count: 50_000) + "1" + String(repeating: "}", count: 50_000)
    #expect(extractAnswer("\\boxed" + deep)?.count == 99_999)
    #expect(extractAnswer(String(repeating: "\\boxed{", count: 200_000)) == nil)
  }
}
