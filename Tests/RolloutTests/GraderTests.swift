import Foundation
import Rollout
import Testing

/// (answer, gold, verdict, how). Read by hand, one by one.
private let easy: [(String, String, Verdict, GradeResult.How?)] = [
  ("25", "025", .correct, .numeric),
  ("27", "27.0", .correct, .numeric),
  ("27.", "27.0", .correct, .numeric),
  ("-1", "-1.0", .correct, .numeric),
  ("+3", "3", .correct, .numeric),
  ("-0", "0", .correct, .numeric),
  ("3159", "3,159", .correct, .numeric),
  (#"10{,}080"#, #"10,\!080"#, .correct, .exact),
  ("11111111100", #"11,\! 111,\! 111,\! 100"#, .correct, .numeric),
  ("32348", #"\$32,\!348"#, .correct, .numeric),
  ("0.0000672", ".0000672", .correct, .numeric),
  ("123456789012345678901234567890", "123456789012345678901234567890.00", .correct, .numeric),
  ("123456789012345678901234567890", "123456789012345678901234567891", .incorrect, .numeric),
  ("0.0000002", "0.0000001", .incorrect, .numeric),
  ("1.00000000001", "1", .incorrect, .numeric),
  ("26", "025", .incorrect, .numeric),
  ("2.5", "25", .incorrect, .numeric),
  (#"\frac{1}{2}"#, "0.5", .correct, .fraction),
  (#"\dfrac12"#, #"\frac{1}{2}"#, .correct, .fraction),
  (#"\frac 59"#, #"\frac{5}{9}"#, .correct, .fraction),
  ("10/18", #"\frac 59"#, .correct, .fraction),
  (#"-\frac{35}{9}"#, #"\frac{-35}{9}"#, .correct, .fraction),
  (#"\frac{-35}{-9}"#, #"\frac{35}{9}"#, .correct, .fraction),
  (#"\frac{1}{3}"#, #"\frac{1}{2}"#, .incorrect, .fraction),
  ("0.333", #"\frac{1}{3}"#, .incorrect, .fraction),
  (#"30^{\circ}"#, #"30^\circ"#, .correct, .exact),
  (#"\left( 3, \frac{\pi}{2} \right)"#, #"(3,\frac{\pi}{2})"#, .correct, .exact),
  ("$p-q$", "p - q", .correct, .exact),
  (#"\( 5 \)"#, "5", .correct, .exact),
  ("5.", "5", .correct, .exact),
  ("52_8", "52_8", .correct, .exact),
  ("\u{1F600}", "\u{1F600}", .correct, .exact),
  (#"\emptyset"#, #"\varnothing"#, .correct, .exact),
  ("", "5", .noAnswer, nil),
  ("  ", "5", .noAnswer, nil),
  ("5", "", .ungradable, nil),
  ("5", "$ $", .ungradable, nil),
]

/// Pairs that look easy and are the worker's.
private let notHere = [
  ("1,2", "12"), ("2100", "2, 100"), ("1/0", "0"), (#"\frac13"#, "0.333"), (#"3 \text{ million}"#, "3"),
  ("2e - 1", "0.2"), ("0,001", "1"), (#"2\mathrm{e}"#, "2"),
  ("1011_3", "1011_2"), ("0.333...", "0.333"), (#"2,\,100"#, "2100"), ("30", #"30^\circ"#),
]

private let algebra: [(String, String, Verdict)] = [
  ("5", "x=5", .correct),
  ("x=5", "5", .correct),
  ("-2, 1", "1,-2", .correct),
  ("7, 5, 3", "3, 5, 7", .correct),
  ("3, 5", "3, 5, 7", .incorrect),
  (#"2\sqrt{2}"#, #"\sqrt{8}"#, .correct),
  (#"\frac{1}{\sqrt3}"#, #"\frac{\sqrt{3}}{3}"#, .correct),
  ("5i + 6", "6+5i", .correct),
  ("6 - 5i", "6+5i", .incorrect),
  ("(x+1)(x-1)", "x^2-1", .correct),
  ("x^2+1", "x^2-1", .incorrect),
  (#"(3, 4]"#, "(3,4]", .correct),
  (#"[3, 4]"#, "(3,4]", .incorrect),
  (#"\{1+\sqrt{19}, 1-\sqrt{19}\}"#, #"1 \pm \sqrt{19}"#, .correct),
  (
    #"\begin{bmatrix} -2 \\ -14 \\ -7 \end{bmatrix}"#, #"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"#, .correct
  ),
  (#"\text{west}"#, #"\text{east}"#, .incorrect),
  ("0.333333", "1/3", .incorrect),
  ("0.333", "1/3", .incorrect),
  (#"50\%"#, "0.5", .correct),
  ("84, 69", "$69$,$84$", .correct),
  (#"\cot(x)"#, #"\cot x"#, .correct),
  (#"2^{1009}"#, "$2^{1009}$", .correct),
  ("2^{1008}", "$2^{1009}$", .incorrect),
  ("\u{2264}5", #"\leq 5"#, .correct),
  (#"[1,2)\cup(3,4]"#, #"(3,4]\cup[1,2)"#, .correct),
  ("]1,2[", "(1,2)", .correct),
  (#"\{1,2\}"#, #"\{1,2,3\}"#, .incorrect),
  (#"\begin{pmatrix}1&2\\3&5\end{pmatrix}"#, #"\begin{bmatrix}1 & 2\\ 3 & 4\end{bmatrix}"#, .incorrect),
  (#"\log_2 8"#, "3", .correct),
  (#"\binom{5}{2}"#, "10", .correct),
  ("1e999999999", "5", .incorrect),
  (#"\frac{1}{0}"#, "5", .incorrect),
  (#"__import__('os').system('true')"#, "5", .incorrect),
  (#"5}\boxed{6"#, "6", .incorrect),
  ("5\0", "6", .incorrect),
  (String(repeating: "}", count: 2000), "5", .incorrect),
  (String(repeating: "{", count: 2000), "5", .incorrect),
  (#"\binom{10^9}{5\cdot10^8}"#, "5", .incorrect),
  ("100000000!", "5", .incorrect),
  ("5", "10^{10^{10}}", .incorrect),
  ("10^{10^{10}}+1", "10^{10^{10}}", .incorrect),
  (#"\sum_{k=1}^{1000000000} \frac{1}{k}"#, "5", .timeout),
  ("10^{10^{10}}", "10^{10^{10}}", .correct),
  ("5", #"\frac{1}{"#, .ungradable),
  ("5", "\u{1F600}", .ungradable),
  ("5", "???", .ungradable),
  ("9^{9^{9^{9}}}", "5", .incorrect),
  ("5", "9^{9^{9^{9}}}", .ungradable),
  ("9**9**9**9", "9^{9^{9^{9}}}", .correct),
]

@Suite struct GraderTests {
  static let grader = Grader(limit: 6)

  @Test(arguments: easy.indices) func easyFormsNeedNoWorker(_ index: Int) {
    let (answer, gold, verdict, how) = easy[index]
    let result = Grader.gradeHere(answer: answer, gold: gold)
    #expect(result?.verdict == verdict)
    #expect(result?.how == how)
  }

  @Test func whatMoreThanNumbersIsInIsTheWorkers() {
    for (answer, gold) in notHere { #expect(Grader.gradeHere(answer: answer, gold: gold) == nil, "\(answer)") }
  }

  @Test func missingAnswerIsNotWrong() throws {
    #expect(try Self.grader.grade(response: "I do not know", gold: "5").verdict == .noAnswer)
    #expect(try Self.grader.grade(answer: nil, gold: "5").verdict == .noAnswer)
    let right = try Self.grader.grade(response: #"<think>\boxed{4}</think> \boxed{5}"#, gold: "5.0")
    #expect(right == GradeResult(verdict: .correct, answer: "5", how: .numeric))
  }

  @Test func algebraIsComparedByValue() throws {
    let pairs: [(answer: String?, gold: String)] = algebra.map { (answer: Optional($0.0), gold: $0.1) }
    let results = try Self.grader.gradeMany(pairs)
    for (index, (answer, gold, verdict)) in algebra.enumerated() {
      #expect(results[index].verdict == verdict, "\(answer) against \(gold)")
      #expect(results[index].answer == answer)
      if verdict == .timeout { #expect(results[index].how == .mathVerify) }
    }
  }

  @Test func everythingEasyAgreesWithTheWorker() throws {
    // Two implementations of the same rules: what Swift decides, the worker must decide alike.
    let worker = PythonWorker(kind: .grade)
    struct Reply: Decodable { var verdict: Verdict }
    for (answer, gold, verdict, how) in easy where how == .numeric || how == .fraction {
      let reply = try JSONDecoder().decode(
        Reply.self, from: try worker.call(["answer": answer, "gold": gold], limit: 20))
      #expect(reply.verdict == verdict, "\(answer) against \(gold)")
    }
  }

  @Test func batchesKeepTheirOrder() throws {
    let pairs = (0..<60).map { n in
      (answer: Optional(n % 2 == 0 ? "x=\(n)" : "\(n)"), gold: n % 3 == 0 ? "\(n + 1)" : "\(n)")
    }
    let results = try Self.grader.gradeMany(pairs)
    #expect(results.count == 60)
    for n in 0..<60 {
      #expect(results[n].verdict == (n % 3 == 0 ? .incorrect : .correct))
      #expect(results[n].answer == pairs[n].answer)
    }
    #expect(try Self.grader.gradeMany([]).isEmpty)
  }
}
