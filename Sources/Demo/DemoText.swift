import Rollout
import Support
import Tensor

/// The demo's base texts: solutions of generated problems as a model writes them that has not learnt to use its
/// interpreter well. Every statement in them is true.
public struct DemoText: Sendable {
  /// How a solution goes about its problem.
  public enum Style: String, Codable, Sendable, CaseIterable {
    /// Worked out by hand, no code.
    case longHand = "long_hand"
    /// Worked out by hand, then checked with code.
    case late
    /// Code first, its result then worked out again by hand.
    case distrust
    /// Code, output, answer.
    case transcript
  }

  /// A solution with the prompt's text and the authors of what follows.
  public struct Example: Sendable, Equatable, Encodable {
    /// What is solved.
    public let problem: GeneratedProblem
    /// How it is solved.
    public let style: Style
    /// Model and tool text in turn; the prompt is not among them.
    public let segments: [TraceSegment]
    /// What follows the prompt, in one piece.
    public var response: String { segments.map(\.text).joined() }

    private enum CodingKeys: String, CodingKey { case id, prompt, segments, style }

    /// `{"id", "prompt", "segments": [{"author", "text"}, ...], "style"}`.
    public func encode(to encoder: any Encoder) throws {
      var line = encoder.container(keyedBy: CodingKeys.self)
      try line.encode(problem.id, forKey: .id)
      try line.encode(problem.text, forKey: .prompt)
      try line.encode(segments, forKey: .segments)
      try line.encode(style, forKey: .style)
    }
  }

  /// How often each style is drawn; the shares add up to 1.
  public struct Shares: Codable, Sendable, Equatable {
    /// The share of each style, from 0 to 1.
    public var longHand, late, distrust, transcript: Double
    /// The defaults are those of `train problems --texts`.
    public init(longHand: Double = 0.55, late: Double = 0.27, distrust: Double = 0.08, transcript: Double = 0.10) {
      self.longHand = longHand
      self.late = late
      self.distrust = distrust
      self.transcript = transcript
    }
  }

  /// How often each style is drawn.
  public var shares: Shares

  /// A writer with these shares.
  public init(shares: Shares = Shares()) { self.shares = shares }

  /// The first `count` solutions of what `generator` draws, each in a style of its own. Problems may repeat.
  public static func examples(_ generator: ProblemGenerator, count: Int, shares: Shares = Shares()) -> [Example] {
    let texts = DemoText(shares: shares)
    return (0..<count).map { texts.example(generator, index: $0) }
  }

  /// The solution of the generator's problem `index`; the same (generator, index) gives the same text for ever.
  public func example(_ generator: ProblemGenerator, index: Int) -> Example {
    var random = CounterRandom(seed: generator.seed, path: [stableHash("demo text"), UInt64(index)])
    let draw = random.uniform()
    let style: Style =
      if draw < shares.longHand {
        .longHand
      } else if draw < shares.longHand + shares.late {
        .late
      } else if draw < shares.longHand + shares.late + shares.distrust {
        .distrust
      } else {
        .transcript
      }
    return example(generator.problem(at: index), style: style, random: &random)
  }

  /// A solution of `problem` in the given style.
  public func example(_ problem: GeneratedProblem, style: Style, random: inout CounterRandom) -> Example {
    var text = TraceWriter()
    let work = LongHand(problem)
    let attempts = Self.attempts(problem, style: style, random: &random)
    // Without a program that prints the answer only a step can be checked.
    let style = attempts.isEmpty && style != .late ? .longHand : style
    if random.uniform() < 0.2 { text.model(random.choice(Sentences.opening) + " ") }
    text.model(Self.restatement(problem) + " ")
    switch style {
    case .longHand:
      text.model(random.choice(Sentences.byHand) + "\n")
      text.model(work.lines)
    case .late:
      text.model(random.choice(Sentences.byHand) + "\n")
      text.model(work.lines)
      let checksResult = random.uniform() < 0.5
      if !work.checks.isEmpty {
        for _ in 0..<random.integer(1...3) {
          let check = random.choice(work.checks)
          text.model("\(random.choice(Sentences.checkStep))\n")
          text.call("print(\(check.code))", output: check.value)
        }
      }
      if (checksResult || work.checks.isEmpty) && !attempts.isEmpty {
        text.model("So we get \(problem.answer). \(random.choice(Sentences.checkResult))\n")
        text.calls(attempts)
      }
    case .distrust, .transcript:
      text.model(random.choice(Sentences.byCode) + "\n")
      text.calls(attempts)
      guard let last = attempts.last, !last.failed else {
        text.model(random.choice(Sentences.giveUp) + "\n")
        text.model(work.lines)
        break
      }
      guard style == .distrust else {
        if random.uniform() < 0.25 { text.model("Python says \(problem.answer). ") }
        if random.uniform() < 0.4 { text.model(random.choice(Sentences.trust) + " ") }
        break
      }
      text.model("Python says \(problem.answer). \(random.choice(Sentences.doubt))\n")
      text.model(work.lines)
      if random.uniform() < 0.6 {
        text.model("It is \(problem.answer) again. \(random.choice(Sentences.checkResult))\n")
        text.call(last.code, output: last.output)
      }
    }
    text.model("The answer is \\boxed{\(problem.answer)}.")
    return Example(problem: problem, style: style, segments: text.segments)
  }

  /// The problem in the solver's own words: the operands are copied once before anything is done with them.
  static func restatement(_ problem: GeneratedProblem) -> String {
    let v = problem.operands
    return switch problem.family {
    case .multiplication: "We need \(v[0])*\(v[1])."
    case .mixed: "We need (\(v[0])+\(v[1]))*\(v[2])-\(v[3])."
    case .divisors: "We need \(problem.variant == 0 ? "gcd" : "lcm")(\(v[0]),\(v[1]))."
    case .powers: "We need \(v[0])^\(v[1]) mod \(v[2])."
    case .series: "We need the sum with first term \(v[0]), difference \(v[1]) and \(v[2]) terms."
    case .systems: "We need \(problem.asked) with \(v[0])x+\(v[1])y=\(v[2]) and \(v[3])x+\(v[4])y=\(v[5])."
    case .bases: "We need \(v[0]) in base \(v[1])."
    case .primes: "We need the primes from \(v[0]) to \(v[1])."
    case .congruences: "We need x with \(v[0])x mod \(v[1])=\(v[2])."
    case .remainders: "We need n with n mod \(v[1])=\(v[0]) and n mod \(v[3])=\(v[2])."
    case .counts: "We need the numbers from 1 to \(v[2]) that \(v[0]) or \(v[1]) divides."
    }
  }

  /// The program that comes to mind first. It prints the answer, but see `attempts`.
  static func code(_ problem: GeneratedProblem) -> String {
    let v = problem.operands
    return switch problem.family {
    case .multiplication: "print(\(v[0])*\(v[1]))"
    case .mixed: "print((\(v[0])+\(v[1]))*\(v[2])-\(v[3]))"
    case .divisors: "import math\nprint(math.\(problem.variant == 0 ? "gcd" : "lcm")(\(v[0]),\(v[1])))"
    case .powers: "print(\(v[0])**\(v[1])%\(v[2]))"
    case .series: "print(sum(\(v[0])+\(v[1])*k for k in range(\(v[2]))))"
    case .systems:
      "print([\(problem.asked) for x in range(99) for y in range(99) "
        + "if \(v[0])*x+\(v[1])*y==\(v[2]) and \(v[3])*x+\(v[4])*y==\(v[5])][0])"
    case .bases: "n=\(v[0])\ns=\"\"\nwhile n>0:\n  s=str(n%\(v[1]))+s\n  n=n//\(v[1])\nprint(s)"
    case .primes: "print(sum(all(n%k for k in range(2,n)) for n in range(\(v[0]),\(v[1])+1)))"
    case .congruences: "print(\(v[2])*pow(\(v[0]),-1,\(v[1]))%\(v[1]))"
    case .remainders: remainderSearch(v, to: ProblemFamily.firstRange)
    case .counts: "print(\(v[2])//\(v[0])+\(v[2])//\(v[1]))"
    }
  }
}

/// Sentences between the calculations. The words of the hints occur in them, so that their embeddings are trained;
/// the hints themselves do not.
enum Sentences {
  static let opening = [
    "Okay, let's try to solve this problem.", "Okay, let's go.", "Okay, let's solve this problem step by step.",
  ]
  static let byHand = [
    "Let us do it by hand, step by step.", "Let's try to solve this problem step by step by hand.",
    "We calculate it by hand.", "It looks tedious, but we can do it by hand.",
    "The reasoning is tedious, but we do it step by step.", "We go step by step.",
    "Let us try it by hand.", "We solve it step by step.",
  ]
  static let byCode = [
    "We can use python code.", "Let us use python code to solve this problem.",
    "We use python to simplify the calculations.", "Let's try a python code call.", "We use python code calls.",
    "Let's solve this problem using python code.", "We can simplify the reasoning using python.",
  ]
  static let checkStep = [
    "Let us check a step using python code.", "We can use python to check one of the steps.",
    "Wait, let's check this step with python.",
  ]
  static let checkResult = [
    "Let us check the result using python code.", "We can use python to check the answer.",
    "But wait, let's double-check it with python.", "We need to be sure, and python can check it.",
  ]
  static let doubt = [
    "But wait, is it right? Let us double-check it by hand.",
    "But we doubt the accuracy of python. Let us calculate it again by hand.",
    "We need to check it by hand.", "Wait, let's double-check the python result step by step.",
  ]
  static let trust = [
    "We trust python.", "There is no doubt.", "We don't need to check the calculations.",
    "Python calculations are right.",
  ]
}

/// Puts an example together.
private struct TraceWriter {
  var segments: [TraceSegment] = []

  mutating func model(_ text: String) {
    if segments.last?.author == .model {
      segments[segments.count - 1].text += text
    } else {
      segments.append(TraceSegment(author: .model, text: text))
    }
  }

  mutating func model(_ lines: [String]) { model(lines.joined(separator: "\n") + "\n") }

  mutating func calls(_ attempts: [Attempt]) {
    for attempt in attempts {
      if !attempt.sentence.isEmpty { model(attempt.sentence + "\n") }
      call(attempt.code, output: attempt.output)
    }
  }

  mutating func call(_ code: String, output: String) {
    model("```python\n\(code)\n```\n")
    segments.append(TraceSegment(author: .tool, text: "```output\n\(output)\n```\n"))
  }
}

extension CounterRandom {
  mutating func choice<Element>(_ elements: [Element]) -> Element { elements[integer(0...(elements.count - 1))] }
}
