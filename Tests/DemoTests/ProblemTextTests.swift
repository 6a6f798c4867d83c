import Demo
import Foundation
import Testing

@Suite("The demo's base texts")
struct ProblemTextTests {
  @Test("Every equation in a base text is true")
  func arithmetic() throws {
    var checked = 0
    for index in 0..<600 {
      let example = DemoText().example(ProblemGenerator(seed: 9, split: .training), index: index)
      for line in example.response.split(separator: "\n") where !line.contains("print") && !line.contains("//") {
        for equation in equations(in: String(line)) {
          let sides = equation.split(separator: "=").map { evaluate(String($0)) }
          for side in sides.dropFirst() { #expect(side == sides[0], "\(equation) in \(line)") }
          checked += 1
        }
      }
      #expect(example.response.hasSuffix("The answer is \\boxed{\(example.problem.answer)}."))
    }
    #expect(checked > 5000)
  }

  /// Runs of digits and operators with an equals sign; powers, unknowns and `n mod 17=3` are left out.
  private func equations(in line: String) -> [String] {
    line.replacing(#/ mod [0-9]+=[0-9]+/#, with: "").split { !"0123456789+-*/=".contains($0) }.map(String.init)
      .filter { $0.contains("=") && !$0.hasPrefix("=") && !$0.hasSuffix("=") && $0.first?.isNumber == true }
  }

  /// Sums of products and quotients.
  private func evaluate(_ text: String) -> Int {
    var total = 0
    for (sign, term) in terms(text) {
      var product: Int?
      for part in term.split(separator: "*") {
        let quotient = part.split(separator: "/").compactMap { Int($0) }
        let value = quotient.dropFirst().reduce(quotient.first ?? 0) { $0 / $1 }
        product = (product ?? 1) * value
      }
      total += sign * (product ?? 0)
    }
    return total
  }

  private func terms(_ text: String) -> [(Int, String)] {
    var result: [(Int, String)] = [(1, "")]
    for character in text {
      switch character {
      case "+": result.append((1, ""))
      case "-": result.append((-1, ""))
      default: result[result.count - 1].1.append(character)
      }
    }
    return result
  }

  @Test("The styles come in their shares, with the tool's text marked as the tool's")
  func shares() {
    let examples = (0..<2000).map { DemoText().example(ProblemGenerator(seed: 3, split: .training), index: $0) }
    for (style, share) in [(DemoText.Style.longHand, 0.55), (.late, 0.27), (.distrust, 0.08), (.transcript, 0.10)] {
      let count = examples.count { $0.style == style }
      #expect(abs(Double(count) / 2000 - share) < 0.035)
    }
    for example in examples {
      #expect(example.segments.allSatisfy { ($0.author == .tool) == $0.text.hasPrefix("```output\n") })
      #expect(example.segments.contains { $0.author == .tool } == (example.style != .longHand))
      let afterCode = zip(example.segments, example.segments.dropFirst()).filter { $1.author == .tool }
      #expect(afterCode.allSatisfy { $0.0.text.hasSuffix("\n```\n") })
    }
    #expect(Set(examples.map { $0.problem.id }).count > 1900)
  }

  @Test("Python prints what the texts say it prints")
  func outputs() throws {
    var cells: [(code: String, output: String)] = []
    for index in 0..<400 {
      let segments = DemoText().example(ProblemGenerator(seed: 21, split: .training), index: index).segments
      for (model, tool) in zip(segments, segments.dropFirst()) where tool.author == .tool {
        let code = try #require(model.text.components(separatedBy: "```python\n").last).dropLast("```\n".count)
        cells.append((String(code), String(tool.text.dropFirst("```output\n".count).dropLast("```\n".count))))
      }
    }
    let python = Process()
    python.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    python.arguments = ["python3", "-c", Self.runner] + cells.map { $0.code }
    let pipe = Pipe()
    python.standardOutput = pipe
    try python.run()
    let printed = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    python.waitUntilExit()
    #expect(cells.count > 150)
    #expect(cells.contains { $0.output.hasSuffix("ValueError: base is not invertible for the given modulus\n") })
    #expect(cells.contains { $0.output.hasSuffix("IndexError: list index out of range\n") })
    #expect(printed == cells.map { $0.output }.joined())
  }

  /// Runs its arguments; an error is told as the interpreter tells it.
  static let runner = """
    import sys
    for code in sys.argv[1:]:
        try:
            exec(code, {})
        except Exception as error:
            line = error.__traceback__.tb_next.tb_lineno
            print("Traceback (most recent call last):")
            print("  line %d: %s" % (line, code.splitlines()[line - 1]))
            print("%s: %s" % (type(error).__name__, error))
    """
}
