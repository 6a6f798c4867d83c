import Demo
import Foundation
import Rollout
import Support
import Tensor
import Testing

@testable import Training

/// `train augment`: where new problems come from, and which are kept.
@Suite struct AugmentationTests {
  private static let long = "One two three four five six seven eight nine ten eleven twelve thirteen"

  // MARK: - Parts

  @Test func thirteenWordsInARowAreAMatch() {
    var tests = Decontamination()
    tests.add("A farmer says: " + Self.long + ", and leaves.")
    #expect(
      tests.match("Now " + Self.long.uppercased().replacing(" ", with: ", ") + " is it?") == Self.long.lowercased())
    #expect(tests.match("Now " + Self.long.replacing("seven", with: "7") + " is it?") == nil)
    #expect(tests.match(String(Self.long.dropLast(9))) == nil, "twelve words, within a longer text")
    var last = Decontamination()
    last.add("Count: " + Self.long)
    #expect(last.match("Say " + Self.long) != nil)
    tests.add("What is 3 + 4?")
    #expect(tests.match("what IS 3 - 4") == "what is 3 4")
    #expect(tests.match("What is 3 + 4 + 5?") == nil)
    var short = Decontamination(words: 4)
    short.add("What is the sum of 3 and 4?")
    #expect(short.match("Tell me the sum of 3 apples.") == "the sum of 3")
  }

  @Test func aWalkFollowsConceptsThatStandTogether() {
    let graph = ConceptGraph([["sums", "primes"], ["primes", "powers"], ["angles", "circles"], ["alone"]])
    #expect(graph.concepts == ["sums", "primes", "powers", "angles", "circles", "alone"])
    let groups = [["sums", "primes", "powers"], ["angles", "circles"], ["alone"]].map(Set.init)
    var walks: [[String]] = []
    for seed in 0..<60 {
      var random = CounterRandom(seed: UInt64(seed), path: [1])
      let walk = graph.walk(&random, steps: 3)
      #expect(Set(walk).count == walk.count && groups.contains { $0.isSuperset(of: walk) })
      var again = CounterRandom(seed: UInt64(seed), path: [1])
      #expect(graph.walk(&again, steps: 3) == walk)
      walks.append(walk)
    }
    #expect(Set(walks.compactMap(\.first)).count == 6)
    #expect(
      walks.allSatisfy {
        $0.count == ($0.first == "alone" ? 1 : groups[1].contains($0[0]) ? 2 : 3) || $0[0] == "primes"
      })
    #expect(
      ConceptGraph.concepts(in: "Topics:\n1. Prime numbers\n- Modular  arithmetic.\n\n* (x)\n**Sums**")
        == ["prime numbers", "modular  arithmetic", "sums"])
  }

  @Test func aProblemStandsBetweenTheLastMarks() {
    #expect(AugmentPrompt.problem(in: "So: <problem> a </problem> or <problem>\nb?\n</problem> it is") == "b?")
    for text in ["What is 3 + 4?", "<problem> What", nil] { #expect(AugmentPrompt.problem(in: text) == "") }
  }

  @Test func theMajorityVotesByValue() {
    func vote(_ answers: String?..., keys: String?...) -> String? {
      Augmentation.majority(answers, keys: keys).map { "\($0.answer) \($0.places)" }
    }
    #expect(vote("0.5", "2", "1/2", nil, keys: "h", "t", "h", nil) == "0.5 [0, 2]")
    #expect(vote("2", "1", "1", "2", keys: "t", "o", "o", "t") == "2 [0, 3]", "of a tie the first")
    #expect(vote(nil, "x", keys: nil, nil) == nil)
  }

  // MARK: - What is kept

  private func episode(_ answer: String?, printed: String? = nil, _ status: CallResult.Status = .ok) -> Episode {
    var episode = Episode(
      id: "p", problem: "p", gold: "0", tokens: [1], authors: [.init(author: .prompt, count: 1)], logProbs: [nil])
    episode.answer = answer
    if let printed {
      episode.calls = [.init(code: "print()", status: status, detail: "", output: printed, ms: 0)]
    }
    return episode
  }

  @Test func agreementAndExecutionKeepAProblem() throws {
    let old = Problem(id: "p", problem: "What is 3 + 4?", gold: "7")
    let names = ["kept", "split", "by hand", "failed", "same", "other"]
    var work = try Augmentation(Augmentation.Settings(), sources: [old.problem])
    let proposals = names.map { name in
      Augmentation.Proposal(
        id: name, text: "A new problem: \(name)", method: ["same", "other"].contains(name) ? .wording : .numbers,
        from: [old])
    }
    let (run, hand) = (episode("9", printed: "so\n9.0\n"), episode("9"))
    try work.judge(
      proposals,
      [
        [hand, run, episode("9.0"), episode("1")], [run, run, episode("8"), episode("8")], [hand, hand, hand, hand],
        [hand, hand, hand, episode("9", printed: "9\n", .error)],
        [episode("7", printed: "7\n"), episode("7"), episode("7"), episode("7")], [run, run, run, run],
      ], model: "m")
    #expect(work.rows.map(\.problem.id) == ["kept", "same"])
    #expect(work.rows[0].problem.gold == "9" && work.rows[0].problem.source == "augment/numbers")
    let expected = Augmentation.Provenance(
      method: .numbers, from: ["p"], model: "m", seed: 0, agreeing: 3, samples: 4, executed: 1)
    #expect(work.rows[0].metadata == expected)
    #expect(
      work.leftOut.map { "\($0.id): \($0.reason.rawValue)" }
        == ["split: no_agreement", "by hand: not_executed", "failed: not_executed", "other: other_answer"])
    #expect(work.summary == "2 problems kept of 6: 1 no agreement, 2 not executed, 1 other answer")
  }

  @Test func whatIsOldOrKnownIsNotAsked() throws {
    let old = Problem(id: "p", problem: "What is 3 + 4?", gold: "7")
    var work = try Augmentation(Augmentation.Settings(), sources: [old.problem, "What is 1?"])
    let texts = ["What is 5 + 4?", "what is 3 4", "What is 1", "What is 5, 4", " ."]
    let admitted = texts.enumerated().map { number, text in
      work.admits(.init(id: "\(number)", text: text, method: .numbers, from: [old]))
    }
    #expect(admitted == [true, false, false, false, false])
    #expect(work.leftOut.map(\.reason) == [.unchanged, .repeated, .repeated, .unreadable])
  }

  // MARK: - The command

  private static let templates = """
    {"id": "sum", "template": "What is {a} apples and {b} apples?", "numbers": {"a": [2, 90], "b": [2, 90]}, \
    "program": "print(a + b)"}
    {"id": "share", "template": "Share {n} nuts among {k} children.", "numbers": {"n": [10, 99], "k": [2, 9]}, \
    "program": "assert n % k == 0\\nn // k"}

    """

  @Test func templatesAreFilledAndExecuted() throws {
    let program = try TrainProgram()
    try program.write("t.jsonl", Self.templates)
    func make(_ name: String, _ more: String...) throws -> String {
      let words = ["augment", "--method", "template", "--input", "t.jsonl", "--output", name, "--per-problem", "20"]
      let outcome = try program.end(program.start(words + more))
      #expect(outcome.status == 0, "\(outcome.errors)")
      return outcome.errors
    }
    #expect(try make("a.jsonl", "--seed", "5").contains("a.jsonl: 40 problems kept of 40"))
    for line in try program.lines("a.jsonl") {
      let text = try #require(line["problem"] as? String)
      let numbers = text.matches(of: /\d+/).compactMap { Int($0.0) }
      let isSum = text.hasPrefix("What")
      #expect(isSum || numbers[0] % numbers[1] == 0)
      #expect(line["gt_answer"] as? String == String(isSum ? numbers[0] + numbers[1] : numbers[0] / numbers[1]))
      let metadata = try #require(line["metadata"] as? [String: Any])
      #expect(metadata["from"] as? [String] == [isSum ? "sum" : "share"] && metadata["seed"] as? Int == 5)
      #expect((metadata["program"] as? String)?.hasPrefix(isSum ? "a = " : "k = ") == true)
    }
    // It is a file of problems, and the seed decides it.
    #expect(try Problem.readFile(program.file("a.jsonl")).count == 40)
    _ = try make("b.jsonl", "--seed", "5")
    _ = try make("c.jsonl", "--seed", "6")
    func data(_ name: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: program.file(name))) }
    #expect(try data("a.jsonl") == data("b.jsonl") && data("a.jsonl") != data("c.jsonl"))
    // A test set that has one of them.
    let first = try #require(try program.lines("a.jsonl").first?["problem"] as? String)
    try program.write("test.jsonl", "{\"problem\": \"\(first.uppercased())\", \"gt_answer\": \"1\"}\n")
    let errors = try make("d.jsonl", "--seed", "5", "--against", "test.jsonl")
    #expect(errors.contains("39 problems kept of 40: 1 contaminated"), "\(errors)")
    let out = try program.lines("d.left-out.jsonl")
    #expect(out.count == 1 && out[0]["problem"] as? String == first && out[0]["reason"] as? String == "contaminated")
    #expect((out[0]["gram"] as? String)?.hasPrefix("what is") == true)
  }

  @Test func aTemplateThatRefusesAllIsAnError() throws {
    let program = try TrainProgram()
    for (line, part) in [
      (
        #"{"id": "t", "template": "{a}?", "numbers": {"a": [1, 2]}, "program": "1 / 0"}"#, "t.jsonl:1: program: refused"
      ),
      (
        #"{"id": "t", "template": "{a}?", "numbers": {"b": [1, 2]}, "program": "1"}"#,
        "{b} does not stand in the template"
      ),
      (#"{"id": "t", "template": "{a}?", "numbers": {"a": [2, 1]}, "program": "1"}"#, "numbers.a: must be"),
      (#"{"problem": "What?", "gt_answer": "1"}"#, "t.jsonl:1"),
    ] {
      try program.write("t.jsonl", line + "\n")
      let outcome = try program.run("augment", "--method", "template", "--input", "t.jsonl", "--output", "o.jsonl")
      #expect(outcome.status == 65 && outcome.errors.contains(part), "\(outcome.errors)")
    }
  }

  /// A model that cannot write problems keeps nothing, says so, and ends in the same files after a kill.
  @Test func aModelsProposalsAreSampledOnce() throws {
    let program = try TrainProgram()
    _ = try program.makeModel(contextLength: 512)
    try program.write("p.jsonl", TrainProgram.doublings(1...4))
    func words(_ name: String) -> [String] {
      ["augment", "model.h5", "--input", "p.jsonl", "--output", name, "--max-tokens", "60", "--template", "none"]
    }
    let alone = try program.end(program.start(words("a.jsonl")))
    #expect(alone.status == 0 && alone.errors.contains("0 problems kept of "), "\(alone.errors)")
    #expect(alone.errors.contains(" unreadable"))
    #expect(!FileManager.default.fileExists(atPath: program.file("a.jsonl.work")))
    let killed = try program.start(words("b.jsonl"))
    let log = program.file("b.jsonl.work/journal/numbers-0.log")
    while killed.isRunning, ((try? Data(contentsOf: URL(fileURLWithPath: log)))?.count ?? 0) < 100 { usleep(500) }
    kill(killed.processIdentifier, SIGKILL)
    _ = try program.end(killed)
    let resumed = try program.end(program.start(words("b.jsonl")))
    #expect(resumed.status == 0 && resumed.errors.contains("0 problems kept of "), "\(resumed.errors)")
    let texts = try ["a", "b"].map { try Data(contentsOf: URL(fileURLWithPath: program.file($0 + ".left-out.jsonl"))) }
    #expect(texts[0] == texts[1] && texts[0].count > 100)
  }

  @Test func contradictionsAreRefused() throws {
    let program = try TrainProgram()
    try program.write("t.jsonl", Self.templates)
    for (words, part) in [
      (["--method", "template", "numbers"], "stands alone"), (["--method", "numbers"], "name the model"),
      (["--method", "template", "--agree", "9"], "--agree must be from 1 to --samples"),
      (["--method", "template", "--words", "0"], "must be 1 or more"),
    ] {
      let outcome = try program.end(
        program.start(["augment", "--input", "t.jsonl", "--output", "o.jsonl"] + words))
      #expect(outcome.status == 64 && outcome.errors.contains(part), "\(outcome.errors)")
    }
  }
}
