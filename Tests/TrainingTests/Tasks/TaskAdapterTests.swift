import Foundation
import Support
import Testing

@testable import Rollout

/// The adapters that come with the program, and the examples that use them.
@Suite struct TaskAdapterTests {
  private static let tasks = TrainProgram.root + "/Sources/Rollout/Python/tasks"
  private static let families = [
    "lcm", "countdown", "chain_sum", "decimal_arithmetic", "prime_factorization", "calendar_arithmetic", "gsm_symbolic",
    "simple_equations", "spell_backward", "mini_sudoku",
  ]

  private func task(_ words: String...) -> TaskProgram {
    TaskProgram(
      ProgramCommand(key: "task.command", words: ["python3"] + words, timeLimit: 120), slowRemedy: "wait",
      remedy: "mend")
  }

  private func response(_ text: String, answer: String?) -> JSONValue {
    .object([
      ("answer", answer.map { JSONValue($0) } ?? .null),
      ("segments", .array([.object([("author", JSONValue("model")), ("text", JSONValue(text))])])),
    ])
  }

  /// 500 responses, right ones and wrong ones of several kinds, beside the package's own scorer of the same family.
  @Test(.enabled(if: TaskPackages.areInstalled, TaskPackages.advice), .timeLimit(.minutes(5)))
  func reasoningGymsOwnScorerAgrees() throws {
    let names = Self.families.joined(separator: ",")
    let program = task("@tasks/reasoning_gym_task.py", "--families", names, "--seed", "7")
    var asked: [[String: Any]] = []
    var scores: [Double] = []
    for index in 0..<100 {
      let made = try program.problem(index)
      #expect(made.scored && made.problem.id == "reasoning-gym-\(Self.families[index % 10])-7-\(index / 10)")
      #expect(try program.problem(index) == made)
      let gold = made.problem.gold
      // The text, what is in its box, and what the answer then is.
      for (text, boxed, given) in [
        ("", gold, gold), ("<answer>\(gold)</answer>", "0", gold), ("", gold + "1", gold + "1"),
        ("<answer>1</answer> <answer>42</answer>", nil, "42"), ("I do not know.", nil, nil),
      ] as [(String, String?, String?)] {
        asked.append(["index": index, "answer": given ?? NSNull()])
        let score = try program.score(index, response: response(text, answer: boxed), what: "response")
        #expect((score.verdict == .correct) == (score.score >= 1))
        scores.append(score.score)
      }
    }
    let lines = String(decoding: try JSONSerialization.data(withJSONObject: asked), as: UTF8.self)
    let script = """
      import json, sys
      sys.path.insert(0, \(JSONValue(Self.tasks).text))
      from reasoning_gym import get_score_answer_fn
      from reasoning_gym_task import ReasoningGym
      gym = ReasoningGym("\(names)".split(","), 7, None, {})
      scores = []
      for q in json.loads(sys.argv[1]):
          name, _, _, entry = gym.entry(q["index"])
          try:
              scores.append(float(get_score_answer_fn(name)(q["answer"], entry)))
          except Exception:
              scores.append(0.0)
      print(json.dumps(scores))
      """
    let own = try TaskPackages.run(PythonRuntime.python(nil), ["-B", "-c", script, lines])
    let last = try #require(own.output.split(separator: "\n").last)
    guard case .array(let values)? = JSONValue(json: String(last)) else {
      Issue.record("\(own.output)")
      return
    }
    let expected = values.map { if case .number(let number, _) = $0 { number } else { Double.nan } }
    let different = zip(scores, expected).enumerated().filter { $0.element.0 != $0.element.1 }
    #expect(different.isEmpty && scores.count == 500 && expected.count == 500, "\(different.prefix(5))")
    #expect(scores.count { $0 == 1 } >= 200 && scores.count { $0 < 0.1 } >= 100)
  }

  @Test(.enabled(if: TaskPackages.areInstalled, TaskPackages.advice))
  func reasoningGymTakesLevelsAndRefusesUnknownFamilies() throws {
    let levels = try [0, 3].map { level in
      try task("@tasks/reasoning_gym_task.py", "--families", "lcm", "--level", "\(level)").problem(4).problem.problem
    }
    #expect(levels[0].count < levels[1].count)
    let small = task("@tasks/reasoning_gym_task.py", "--families", "lcm", "--options", "{\"lcm\": {\"max_value\": 9}}")
    #expect(try small.problem(0).problem.problem.matches(of: /\d+/).allSatisfy { $0.0.count == 1 })
    do {
      _ = try task("@tasks/reasoning_gym_task.py", "--families", "lcd").problem(0)
      Issue.record("lcd is taken")
    } catch let error as MartletError {
      #expect(error.message.contains("lcd: no family of reasoning-gym"), "\(error.message)")
    }
  }

  private static let hasVerifiers: Bool = {
    guard let python = try? PythonRuntime.python(nil) else { return false }
    return (try? TaskPackages.run(python, ["-c", "import verifiers.v1"]))?.status == 0
  }()

  @Test(.enabled(if: hasVerifiers, "verifiers is not in .venv: .venv/bin/python3 -m pip install verifiers==0.4.0"))
  func aTasksetOfVerifiersScores() throws {
    let program = task("@tasks/verifiers_task.py", TrainProgram.root + "/examples/tasks/reversal.py")
    let made = try program.problem(1)
    #expect(made.problem.id == "reversal-stone" && made.problem.gold == "enots" && made.scored)
    let texts = ["So it is enots", "So it is tones", "So it is stone then"]
    let scores = try texts.map { try program.score(1, response: response($0, answer: nil), what: "response") }
    #expect(scores.map(\.score) == [1.5, 0.5, 0])
    #expect(scores.map(\.verdict) == [.correct, .incorrect, .incorrect])
    #expect(scores[1].parts?.values == ["exact": 0, "letters": 1])
  }

  @Test func theExamplesAreConfigurations() throws {
    let program = try TrainProgram()
    let files = ["reasoning-gym.yaml", "chemistry.yaml", "verifiers.yaml"].map {
      TrainProgram.root + "/examples/tasks/" + $0
    }
    let outcome = try program.end(program.start(["check"] + files))
    #expect(outcome.status == 0, "\(outcome.errors)")
  }
}
