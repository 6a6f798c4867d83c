import Demo
import Rollout
import Tensor
import Testing

@Suite("Behaviour analysis")
struct BehaviourAnalysisTests {
  static func trace(_ parts: (Author, String)...) -> [TraceSegment] {
    parts.map { TraceSegment(author: $0.0, text: $0.1) }
  }

  static func text(_ segments: [TraceSegment], from offset: Int) -> String {
    let response = segments.filter { $0.author != .prompt }.flatMap { Array($0.text.utf8) }
    return String(decoding: response[offset...], as: UTF8.self)
  }

  @Test("The demo's styles are told apart")
  func styles() {
    // Where the obvious program fails or misleads, a text holds several attempts of several kinds.
    let withAttempts: [ProblemFamily] = [.congruences, .remainders, .counts]
    let families = ProblemFamily.allCases.filter { !withAttempts.contains($0) }
    for index in 0..<400 {
      let example = DemoText().example(
        ProblemGenerator(seed: 4, split: .training, families: families), index: index)
      let analysis = BehaviourAnalysis(example.segments)
      let calls = example.segments.filter { $0.author == .tool }.map { TraceCall(output: $0.text, succeeded: true) }
      let verdict = analysis.verdict(correct: true, calls: calls, tokens: 80, maximumTokens: 200)
      #expect(analysis.blocks.count == calls.count)
      switch example.style {
      case .longHand:
        #expect(!analysis.delayed.isEmpty, "\(example.response)")
        #expect(analysis.distrust.isEmpty)
      case .late:
        #expect(!analysis.delayed.isEmpty, "\(example.response)")
        #expect(analysis.blocks.allSatisfy { $0.label == .verification }, "\(example.response)")
      case .distrust:
        #expect(analysis.delayed.isEmpty, "\(example.response)")
        #expect(analysis.distrust.count == 1, "\(example.response)")
        #expect(analysis.blocks[0].label == .calculation || analysis.blocks[0].output.count < 2)
        #expect(analysis.blocks.dropFirst().allSatisfy { $0.label == .verification })
      case .transcript: #expect(analysis.delayed.isEmpty && analysis.distrust.isEmpty, "\(example.response)")
      }
      #expect(verdict.keep == (example.style == .transcript), "\(verdict.reasons)")
    }
  }

  @Test("A block is verification when its output's last line stood in the prose before it, whole")
  func labels() {
    func label(_ before: String, _ output: String) -> BehaviourAnalysis.BlockLabel? {
      BehaviourAnalysis(
        Self.trace(
          (.prompt, "What is it? 204"), (.model, before + "\n```python\nprint(204)\n```\n"),
          (.tool, "```output\n\(output)\n```\n"), (.model, "Done."))
      ).blocks.first?.label
    }
    #expect(label("It must be 204.", "204") == .verification)
    #expect(label("It must be 1204.", "204") == .calculation)
    #expect(label("It must be 204.5 or so.", "204") == .calculation)
    #expect(label("It must be 3.204.", "204") == .calculation)
    #expect(label("It must be x204.", "204") == .calculation)
    #expect(label("Is it (204)?", "checking\n204\n\n") == .verification)
    #expect(label("checking 17", "checking\n204") == .calculation)
    #expect(label("Let me see.", "204") == .calculation)  // the prompt and the code do not count
    #expect(label("So x = -3/4 it is", "-3/4") == .verification)
    #expect(label("anything", "") == .calculation)
    let second = BehaviourAnalysis(
      Self.trace(
        (.model, "```python\na\n```\n"), (.tool, "```output\n7\n```\n"), (.hint, "So 7."),
        (.model, "\n```python\na\n```\n"),
        (.tool, "```output\n7\n```\n"), (.model, "\n```python\nb\n```\n"), (.tool, "```output\n8\n```\n"),
        (.model, "\n```python\nb\n```\n"), (.tool, "No more code can be run.")))
    #expect(second.blocks.map(\.label) == [.calculation, .verification, .calculation])
    #expect(second.blocks.map(\.output) == ["7", "7", "8"])
    let given = BehaviourAnalysis(
      Self.trace((.model, "```python\na\n```\n"), (.tool, "<result>9</result>"), (.model, "9 it is")),
      calls: [TraceCall(output: "9", succeeded: true)])
    #expect(given.blocks.map(\.output) == ["9"])
  }

  @Test("Delayed computation in the words of real models")
  func delayedInRealText() throws {
    let thinking = Self.trace(
      (.prompt, "Compute."),
      (
        .model,
        """
        <think>
        Okay, so I need to find the sum of the squares. Hmm, first the formula. Let me calculate each one.
        First, 12 squared is 144. Then 13 × 13 = 169, and 14^2 = 196. Adding 144 + 169 gives 313.
        Wait, what about the last one? 313 + 196 = 509, so it's 509.
        </think>
        So the answer is \\boxed{509}.
        """
      ))
    let analysis = BehaviourAnalysis(thinking)
    try #require(analysis.delayed.count == 1)
    #expect(Self.text(thinking, from: analysis.delayed[0].offset).hasPrefix(" Let me calculate each one."))
    #expect(analysis.delayed[0].reason.contains("no code after it"))
    #expect(analysis.distrust.isEmpty)

    let latex = Self.trace(
      (
        .model,
        """
        To solve this, we need the area. Let's compute it manually.
        \\[ \\frac{12 \\times 7}{2} = 42 \\]
        \\[ 42 \\cdot 3 = 126, \\quad 126 - 1,000 = -874 \\]

        ```python
        print(126-1000)
        ```

        """
      ), (.tool, "```output\n-874\n```\n"), (.model, "The answer is \\boxed{-874}."))
    let late = BehaviourAnalysis(latex)
    try #require(late.delayed.count == 1)
    #expect(Self.text(latex, from: late.delayed[0].offset).hasPrefix(" Let's compute it manually."))
    #expect(late.delayed[0].reason == "3 steps of arithmetic by hand before code")
    #expect(late.blocks.map(\.label) == [.verification])
  }

  @Test("Algebra, numbers in prose and single steps are no delayed computation")
  func notDelayed() {
    let algebra = Self.trace(
      (
        .model,
        """
        Let x be the age. We know 3x + 5y = 41 and 2x + 7y = 45, so a = 3, b = 5, and c = 41.
        In 2024 there are 12 teams, each of 4 players; f(x) = x^2 + 1.
        1. First define the function.
        2. Then sum over range(1, 100).
        So 2 + 3 = 5 cases remain.
        ```python
        print(5)
        ```

        """
      ), (.tool, "```output\n17\n```\n"), (.model, "Python gives 17, hence 17 + 1 = 18.\n\\boxed{18}"))
    let analysis = BehaviourAnalysis(algebra)
    #expect(analysis.delayed.isEmpty)
    #expect(analysis.distrust.isEmpty)
  }

  @Test("Two other sentences may stand between steps of one stretch, three end it")
  func stretches() {
    func delayed(_ between: String) -> Int {
      BehaviourAnalysis(Self.trace((.model, "12 * 3 = 36. \(between) 36 + 4 = 40. 40 * 2 = 80.\n"))).delayed.count
    }
    #expect(delayed("So far. Go on.") == 1)
    #expect(delayed("So far. Go on. Now.") == 0)
  }

  @Test("Result distrust in the words of real models")
  func distrustInRealText() throws {
    func analyze(_ after: String) -> ([TraceSegment], BehaviourAnalysis) {
      let segments = Self.trace(
        (.prompt, "?"), (.model, "Let me use code.\n```python\nprint(347*68)\n```\n"),
        (.tool, "```output\n23596\n```\n"), (.model, after))
      return (segments, BehaviourAnalysis(segments))
    }
    let (doubted, first) = analyze(
      "The output is 23596. Wait, let me double-check the Python result. 347*60 = 20820 and 347*8 = 2776.\n"
        + "20820 + 2776 = 23596. Yes. \\boxed{23596}")
    try #require(first.distrust.count == 1)
    #expect(Self.text(doubted, from: first.distrust[0].offset).hasPrefix(" Wait, let me double-check"))
    #expect(first.distrust[0].reason == "doubts what Python said (23596), 3 steps worked out again by hand")
    #expect(first.delayed.isEmpty)

    let (redone, second) = analyze(
      "So we have it. Now 347*60 = 20820, 347*8 = 2776, and 20820 + 2776 = 23,596 as expected. \\boxed{23596}")
    try #require(second.distrust.count == 1)
    #expect(Self.text(redone, from: second.distrust[0].offset).hasPrefix(" Now 347*60"))

    let (_, moreWork) = analyze("Next, 12*12 = 144, 144*3 = 432, and 432+5 = 437. \\boxed{437}")
    #expect(moreWork.distrust.isEmpty)
    #expect(moreWork.delayed.count == 1)

    for trusting in [
      "There is no doubt. The answer is \\boxed{23596}.", "We don't need to verify this. \\boxed{23596}",
      "We don't need to doubt the accuracy of python calculations. \\boxed{23596}", "So the answer is \\boxed{23596}.",
    ] {
      let (_, analysis) = analyze(trusting)
      #expect(analysis.distrust.isEmpty && analysis.delayed.isEmpty, "\(trusting)")
    }
    for doubting in ["Is that right? It seems large.", "Hmm, I'm not sure. \\boxed{1}", "Let me verify by hand."] {
      let (_, analysis) = analyze(doubting)
      #expect(analysis.distrust.count == 1, "\(doubting)")
    }
  }

  @Test("Python run again for the same result is distrust; a check of something else is not")
  func runAgain() {
    func analyze(_ output: String) -> BehaviourAnalysis {
      BehaviourAnalysis(
        Self.trace(
          (.model, "```python\nprint(1)\n```\n"), (.tool, "```output\n31\n```\n"),
          (.model, "Let me verify using python.\n```python\nprint(2)\n```\n"), (.tool, "```output\n\(output)\n```\n")))
    }
    #expect(analyze("31").distrust.count == 1)
    #expect(analyze("32").distrust.isEmpty)
  }

  @Test("Hint text is not the model's own behaviour")
  func hintText() {
    let segments = Self.trace(
      (.model, "We need 347*68."), (.hint, " Let me double-check. 1+1=2, 2+2=4, 4+4=8.\n```python\n"),
      (.model, "print(347*68)\n```\n"), (.tool, "```output\n23596\n```\n"), (.model, "\\boxed{23596}"))
    let analysis = BehaviourAnalysis(segments)
    #expect(analysis.delayed.isEmpty && analysis.distrust.isEmpty)
    #expect(analysis.blocks.map(\.label) == [.calculation])
  }

  @Test(
    "The same response in every tool protocol has the same labels", arguments: [ToolFormats.python, .toolCall, .code])
  func protocols(tools: ToolFormats) throws {
    let format = tools.reading
    let (opening, closing) =
      switch tools {
      case .toolCall: (format.callOpening, "\"}}\n</tool_call>")
      case .code: ("<code>\n```python\n", "\n```\n</code>")
      case .python, .none: (format.callOpening, "\n```\n")
      }
    func call(_ code: String) -> String { "\n" + opening + code + closing }
    let segments = Self.trace(
      (.prompt, "?"), (.model, "Let me calculate. 12 * 13 = 156. 156 / 4 = 39. 39 - 1 = 38." + call("print('38')")),
      (.tool, format.reply(to: "38\n")), (.model, "Let me double-check with python." + call("x = 38 + 0; x")),
      (.tool, format.reply(to: "38\n")), (.model, "Now 7." + call("1+1=2, 2+2=4, 4+4=8")),
      (.tool, format.reply(to: "8\n", isLast: true)), (.hint, " So\n" + format.callOpening), (.model, "5"))
    let made = TraceCall(output: "38", succeeded: true)
    let eight = TraceCall(output: "8", succeeded: true)
    for calls in [nil, [made, made, eight]] {
      let analysis = BehaviourAnalysis(segments, calls: calls, tools: tools)
      #expect(analysis.blocks.map(\.label) == [.verification, .verification, .calculation])
      #expect(analysis.blocks.map(\.output) == ["38", "38", "8"])
      #expect(analysis.delayed.map(\.reason) == ["3 steps of arithmetic by hand before code"])
      #expect(analysis.distrust.map(\.reason) == ["doubts what Python said (38), run again"])
      #expect(analysis.idleHints == 1)
    }
    let others = BehaviourAnalysis(segments, tools: tools == .code ? .toolCall : .code)
    #expect(others.blocks.isEmpty)
  }

  @Test("What rejection fine-tuning keeps, and why not")
  func keep() {
    let clean = BehaviourAnalysis(Self.trace((.model, "\\boxed{1}")))
    let good = TraceCall(output: "1", succeeded: true)
    let bad = TraceCall(output: "", succeeded: false)
    #expect(clean.verdict(correct: true, calls: [good], tokens: 50).keep)
    #expect(clean.verdict(correct: true, calls: [good], tokens: 50, maximumTokens: 50).keep)
    #expect(clean.verdict(correct: false, calls: [good], tokens: 50).reasons == ["the answer is not correct"])
    #expect(clean.verdict(correct: true, calls: [], tokens: 50).reasons == ["no code was executed"])
    #expect(clean.verdict(correct: true, calls: [good, bad], tokens: 50).reasons == ["1 of 2 calls failed"])
    #expect(
      clean.verdict(correct: true, calls: [good], tokens: 51, maximumTokens: 50).reasons == ["51 tokens, more than 50"])
  }

  @Test("Text that is cut anywhere, or is not English, is analysed without harm")
  func robust() {
    let segments = DemoText().example(ProblemGenerator(seed: 4, split: .training), index: 3).segments
    let whole = segments.map(\.text).joined()
    for length in stride(from: 0, through: whole.count, by: 7) {
      let cut = BehaviourAnalysis([TraceSegment(author: .model, text: String(whole.prefix(length)))])
      #expect(cut.blocks.isEmpty)
      #expect(cut.delayed.allSatisfy { $0.offset <= length })
    }
    let odd = "计算 12×13=156。然后 156÷4=39,39−1=38。\r\n≈ ≡ \u{E2} ``` ```python"
    #expect(BehaviourAnalysis([TraceSegment(author: .model, text: odd)]).delayed.count == 1)
    #expect(BehaviourAnalysis([]).blocks.isEmpty)
  }
}
