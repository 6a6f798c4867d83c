import Rollout
import Testing

@Suite("Hint finder")
struct HintFinderTests {
  private func kept(_ segments: [TraceSegment], _ hint: HintFinder.Hint) -> String {
    let response = segments.filter { $0.author != .prompt }.flatMap { Array($0.text.utf8) }
    return String(decoding: response[..<hint.offset], as: UTF8.self)
  }

  @Test("Arithmetic by hand is cut before it is announced, and a fence opened")
  func delayed() throws {
    let segments = [
      TraceSegment(author: .prompt, text: "Calculate 392*36."),
      TraceSegment(
        author: .model, text: "We need 392*36. We do it by hand.\n392*6: 2*6=12, 9*6+1=55, 3*6+5=23.\n The answer is 1."
      ),
    ]
    let hint = try #require(HintFinder().hint(BehaviourAnalysis(segments), of: segments))
    #expect(hint.kind == .delayed)
    #expect(kept(segments, hint) == "We need 392*36.")
    #expect(
      hint.text == " It looks tedious, and we can use python code to simplify the reasoning.\n```python\n")
    #expect(hint.reason == "3 steps of arithmetic by hand and no code after it")
  }

  @Test("Distrust is cut where the doubt begins, without a fence")
  func distrust() throws {
    let segments = [
      TraceSegment(author: .model, text: "Let us use python.\n```python\nprint(6*7)\n```\n"),
      TraceSegment(author: .tool, text: "```output\n42\n```\n"),
      TraceSegment(
        author: .model, text: "Python says 42. But wait, is it right? Let us double-check it by hand.\n6*7=42"),
    ]
    let hint = try #require(HintFinder().hint(BehaviourAnalysis(segments), of: segments))
    #expect(hint.kind == .distrust)
    #expect(kept(segments, hint).hasSuffix("```output\n42\n```\nPython says 42."))
    #expect(hint.text == " We don't need to doubt the accuracy of python calculations.")
  }

  @Test("The first spot wins, and a clean response needs none")
  func order() throws {
    let stretch = "1+1=2, 2+2=4, 4+4=8.\n"
    let segments = [
      TraceSegment(author: .model, text: stretch + "```python\nprint(8)\n```\n"),
      TraceSegment(author: .tool, text: "```output\n9\n```\n"),
      TraceSegment(author: .model, text: "Let me double-check by hand. " + stretch),
    ]
    let analysis = BehaviourAnalysis(segments)
    #expect(HintFinder().hints(analysis, of: segments).map(\.kind) == [.delayed, .distrust])
    let hint = try #require(HintFinder().hint(analysis, of: segments))
    #expect(hint.kind == .delayed && hint.offset == 0)
    #expect(hint.text.hasPrefix("It looks tedious"))
    let clean = [TraceSegment(author: .model, text: "The answer is \\boxed{2}.")]
    #expect(HintFinder().hint(BehaviourAnalysis(clean), of: clean) == nil)
    #expect(
      HintFinder().promptHint().text
        == "Okay, let's try to solve this problem step by step using multiple python code calls.")
  }
}
