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
    (#"\boxed{3} and the cut-off \boxed{4"#, #"\boxed{4"#),
    (#"\boxed{3} and the cut-off \fbox{\frac{1}{2"#, #"\fbox{\frac{1}{2"#),
    (#"\boxed{3}, \boxed{4, \boxed{5"#, #"\boxed{5"#),
    (#"\boxed{3 \boxed{4}"#, "4"),
    (#"so \fbox{5}."#, "5"),
    (#"\boxed{4}, or \fbox{5}"#, "5"),
    (#"\fbox{4}, or \boxed{5}"#, "5"),
    (#"\fboxsep{1pt} \boxed{5}"#, "5"),
    (#"put it in \boxed, as in \boxed{5}, with \boxed"#, "5"),
    (#"<think>\boxed{1}</think> it is \boxed{2}"#, "2"),
    (#"<think>\boxed{9} never closed"#, "9"),
    (#"\boxed{\boxed{8}}"#, "8"),
    ("\\boxed{\n x = 1\n}", "x = 1"),
  ]) func lastCompleteBoxIsTheAnswer(_ text: String, _ answer: String) {
    #expect(extractAnswer(text) == answer)
  }

  @Test(arguments: [
    "", "no box", #"\boxed{}"#, #"\boxed{  }"#, #"\boxed{4"#, #"\boxed"#, #"\boxedx{3}"#, #"\boxed{1}</think> done"#,
    #"\boxed{5\}"#, #"\fbox{4"#, #"\boxed{} and \boxed{4"#,
  ]) func withoutACompleteBoxThereIsNoAnswer(_ text: String) {
    #expect(extractAnswer(text) == nil)
  }

  @Test func deepNestingIsReadInOnePass() {
    let deep = String(repeating: "{", count: 50_000) + "1" + String(repeating: "}", count: 50_000)
    #expect(extractAnswer("\\boxed" + deep)?.count == 99_999)
    #expect(extractAnswer(String(repeating: "\\boxed{", count: 200_000)) == nil)
    #expect(extractAnswer("\\boxed{1}" + String(repeating: "\\boxed{2", count: 200_000)) == "\\boxed{2")
  }

  @Test(arguments: [
    ("so 5.", "5"), ("from 3 to -4.5 m", "-4.5"), ("5-3", "3"), ("= -3", "-3"), ("costs $1,234.50 in all", "1,234.50"),
    (#"\boxed{\frac{3}{4}}"#, #"\frac{3}{4}"#), ("3/4 of it\nand that is all", "3/4"), ("1, 2, 300", "300"),
    ("12\n\nDone.", "12"), ("x2", "2"), (".5", ".5"), (#"\dfrac{-1}{2}"#, #"\dfrac{-1}{2}"#), ("1e-5", "5"),
  ]) func theLastNumberIsReadAsWritten(_ text: String, _ number: String) {
    #expect(extractLastNumber(text) == number)
  }

  @Test func aTextWithoutADigitHasNoLastNumber() {
    #expect(extractLastNumber("") == nil)
    #expect(extractLastNumber("none at all") == nil)
    #expect(extractLastNumber(String(repeating: "9", count: 100_000))?.count ?? 0 > 0)
  }
}
