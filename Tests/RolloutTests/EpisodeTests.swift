import Foundation
import Support
import Tensor
import Testing

@testable import Rollout

@Suite struct EpisodeTests {
  static let episode = {
    var episode = Episode(
      id: "aime24-3", problem: "a \"b\"\n\u{e9}", gold: "204", tokens: [1, 2, 3, 4, 5],
      authors: [.init(author: .prompt, count: 2), .init(author: .model, count: 2), .init(author: .tool, count: 1)],
      logProbs: [nil, nil, -0.31, -1e-10, nil], kept: [nil, nil, [3, 9], nil, nil])
    episode.sampling = .init(temperature: 0.6, topP: 0.95)
    episode.seed = .max
    episode.hints = [.init(token: 2, kind: .delayed, text: "t", reason: "r")]
    episode.calls = [.init(code: "1", status: .sandboxError, detail: "d", output: "o\t", ms: 3.1)]
    (episode.finish, episode.answer, episode.verdict) = (.length, "204", .noAnswer)
    episode.reward = .init(accuracy: 1, code: -0.1, total: 0.9)
    return episode
  }()

  static let line = """
    {"id": "aime24-3", "sample": 0, "problem": "a \\"b\\"\\n\u{e9}", "gold": "204", "tokens": [1, 2, 3, 4, 5], \
    "authors": [["prompt", 2], ["model", 2], ["tool", 1]], "logprobs": [null, null, -0.31, -1e-10, null], \
    "kept": [null, null, [3, 9], null, null], "sampling": {"temperature": 0.6, "top_p": 0.95, "top_k": 0, \
    "seed": 18446744073709551615}, "hints": [{"token": 2, "kind": "delayed", "text": "t", "reason": "r"}], \
    "calls": [{"code": "1", "status": "sandbox_error", "detail": "d", "output": "o\\t", "ms": 3.1}], \
    "finish": "length", "answer": "204", "verdict": "no_answer", "reward": {"accuracy": 1, "code": -0.1, "total": 0.9}}

    """

  private func file(_ text: String, _ body: (String) throws -> Void) throws {
    let path = NSTemporaryDirectory() + "martlet-\(UUID().uuidString).jsonl"
    defer { try? FileManager.default.removeItem(atPath: path) }
    try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    try body(path)
  }

  @Test func theLineIsTheDesigns() throws {
    #expect(String(decoding: try JSONLines.line(Self.episode), as: UTF8.self) == Self.line)
    try file(Self.line + "\n" + Self.line) { (path: String) throws in
      #expect(try EpisodeFile.read(path) == [Self.episode, Self.episode])
      try EpisodeFile.write([Self.episode], to: path)
      #expect(try String(contentsOfFile: path, encoding: .utf8) == Self.line)
    }
    #expect(Self.episode.promptCount == 2)
    #expect(Self.episode.modelTokenCount == 2)
    #expect(Self.episode.responseTokenCount == 3)
    #expect((0..<5).map(Self.episode.author) == Self.episode.authorsByToken)
  }

  @Test func tokensAreCountedByTheirAuthors() {
    var episode = Self.episode
    episode.authors = [
      .init(author: .prompt, count: 1), .init(author: .hint, count: 1), .init(author: .model, count: 2),
      .init(author: .tool, count: 1),
    ]
    #expect(episode.promptCount == 1)
    #expect(episode.modelTokenCount == 3)
    #expect(episode.responseTokenCount == 4)
  }

  @Test func floatsSurvive() throws {
    var random = CounterRandom(seed: 1, path: [])
    var episode = Self.episode
    episode.kept = nil
    episode.authors = [.init(author: .model, count: 4000)]
    episode.tokens = [Int32](repeating: 7, count: 4000)
    episode.logProbs = (0..<4000).map { place in
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      return value.isFinite ? value : Float(place)
    }
    try file("") { (path: String) throws in
      try EpisodeFile.write([episode], to: path)
      let read = try EpisodeFile.read(path)[0]
      #expect(read.logProbs.map { $0?.bitPattern } == episode.logProbs.map { $0?.bitPattern })
      episode.logProbs[9] = .nan
      let error = #expect(throws: MartletError.self) { try EpisodeFile.write([episode], to: path) }
      #expect(error?.message.contains("logprobs") == true)
    }
  }

  @Test func othersFilesNeedLittle() throws {
    let line = """
      {"id": 7, "x": {}, "tokens": [1, 2, 3, 4], "authors": [["prompt", 1], ["model", 1], ["hint", 1], ["model", 1]], \
      "logprobs": [null, -1, null, -2], "kept": [[2], [3, 4]], "reward": {"total": 0.5}}
      """
    try file(line) { (path: String) throws in
      let episode = try EpisodeFile.read(path)[0]
      #expect(episode.id == "7")
      #expect(episode.kept == [nil, [2], nil, [3, 4]])
      #expect(episode.reward == Episode.Reward(total: 0.5))
    }
    let plain = "{\"id\": \"a\", \"tokens\": [1, 2], \"authors\": [[\"prompt\", 1], [\"model\", 1]]}"
    try file(plain) { (path: String) throws in
      #expect(try EpisodeFile.read(path, needsLogProbs: false).count == 1)
      #expect(throws: MartletError.self) { try EpisodeFile.read(path) }
    }
  }

  @Test(arguments: [
    ("{\"id\": \"a\"", "2: not a JSON"), ("[]", "2: "), ("{\"id\": \"a\", \"authors\": []}", "2: tokens: is missing"),
    ("{\"id\": \"a\", \"tokens\": [1, \"x\"], \"authors\": []}", "2: tokens[1]: is not of type"),
    ("{\"id\": \"a\", \"tokens\": [1], \"authors\": [[\"me\", 1]]}", "2: authors[0][0]: "),
    (line.replacingOccurrences(of: "[\"tool\", 1]", with: "[\"tool\", 2]"), "2: episode aime24-3: authors: 6 tokens"),
    (line.replacingOccurrences(of: "[\"tool\", 1]", with: "[\"model\", 1]"), "logprobs[4]: null"),
    (line.replacingOccurrences(of: "[null, null, -0.31", with: "[null, -1, -0.31"), "logprobs[1]: a number where"),
    (line.replacingOccurrences(of: "-1e-10, null]", with: "-1e-10, -1]"), "logprobs[4]: a number where the tool"),
    (line.replacingOccurrences(of: "[null, null, -0.31", with: "[null, -0.31"), "logprobs: 4 entries"),
    (line.replacingOccurrences(of: "[3, 9]", with: "[4, 9]"), "kept[2]: without"),
    (line.replacingOccurrences(of: "[3, 9]", with: "[9, 3]"), "kept[2]: ids must ascend"),
    (line.replacingOccurrences(of: "[1, 2, 3, 4, 5]", with: "[-1, 2, 3, 4, 5]"), "tokens[0]: -1 is negative"),
    (line.replacingOccurrences(of: "\"prompt\", 2", with: "\"prompt\", -2"), "authors[0]: a run of -2"),
  ])
  func malformedLinesAreNamed(line: String, message: String) throws {
    try file(Self.line + line + "\n") { (path: String) throws in
      let error = #expect(throws: MartletError.self) { try EpisodeFile.read(path) }
      #expect(error?.status == .data)
      #expect(error?.message.hasPrefix("\(path):2: ") == true)
      #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }
  }

  @Test func emptyAndMissingFiles() throws {
    try file("\n \n") { (path: String) throws in
      #expect(throws: MartletError.self) { try EpisodeFile.read(path) }
      #expect(try JSONLines.read(path, as: Episode.self, allowEmpty: true).isEmpty)
    }
    for path in ["/nowhere/x.jsonl", NSTemporaryDirectory()] {
      let error = #expect(throws: MartletError.self) { try JSONLines.read(path, as: Episode.self) }
      #expect(error?.status == .io)
    }
  }

  @Test func problemFiles() throws {
    let text = """
      {"problem": "1+1?", "gt_answer": "2"}
      {"problem": "1+1?", "gt_answer": 2}
      {"problem": "x", "prompt": "1+1?", "answer": 2, "solution": "..."}
      {"problem": "2+2?", "gt_answer": "4", "id": "four", "level": 3, "type": "Algebra", "metadata": {"a": [1]}}
      """
    let hash = String(sha256Hex(of: "1+1?").prefix(16))
    try file(text) { (path: String) throws in
      let problems = try Problem.readFile(path)
      #expect(problems.map(\.id) == [hash, "\(hash)-2", "\(hash)-3", "four"])
      #expect(problems.map(\.gold) == ["2", "2", "2", "4"])
    }
    for (line, message) in [
      ("{\"problem\": \"x\", \"gt_answer\": \"1\", \"id\": \"four\"}", ":5: id: \"four\" is also that of line 4"),
      ("{\"problem\": \"x\", \"gt_anwser\": \"1\"}", ":5: gt_anwser: is unknown here; did you mean gt_answer?"),
      ("{\"problem\": \"x\", \"answer\": \"1\", \"reward_model\": {}}", ":5: reward_model: is unknown here; known are"),
      ("{\"problem\": \"x\"}", ":5: gt_answer: is missing"), ("{\"gt_answer\": \"1\"}", ":5: problem: is missing"),
    ] {
      try file(text + "\n" + line) { (path: String) throws in
        let error = #expect(throws: MartletError.self) { try Problem.readFile(path) }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
      }
    }
  }
}
