import Foundation
import Support
import Tensor
import TestSupport
import Testing

@testable import Rollout

/// Tools of a manifest: the file, their programs, and calls in an episode.
@Suite struct ToolManifestTests {
  let folder: ScratchFolder

  init() throws {
    folder = try ScratchFolder()
    try folder.write(
      """
      import json, os, sys, time
      count = 0
      for line in sys.stdin:
          query = json.loads(line)
          n = query["arguments"].get("n")
          count += 1
          if n == "sleep":
              time.sleep(1000)
          if n == "die":
              os._exit(3)
          if n == "garbage":
              print("oops")
          elif not isinstance(n, int):
              print(json.dumps({"error": "n must be a whole number"}))
          else:
              print(json.dumps({"output": "%s %d, call %d" % (query["tool"], 2 * n, count)}))
      """, "double.py")
  }

  private func manifest(_ text: String) throws -> ToolManifest {
    try folder.write(text, "tools.yaml")
    return try ToolManifest(path: folder.path + "/tools.yaml")
  }

  private func tools(limit: Double = 60) throws -> ToolPrograms {
    let file = try manifest(
      """
      - name: double
        description: Doubles a number.
        parameters: {type: object, properties: {n: {type: integer}}, required: [n]}
        command: [python3, "@/double.py"]
        time_limit: \(limit)
      """)
    return ToolPrograms(file, outputBytes: 64)
  }

  @Test func aManifestSaysWhatTemplatesShow() throws {
    let file = try manifest(
      """
      [{"name": "python"},
       {"name": "up", "description": "Up.", "command": ["tr", "a-z", 7],
        "parameters": {"type": "object", "properties": {"b": {}, "a": {}}}}]
      """)
    #expect(file.hasPython)
    #expect(file.tools.map(\.command?.words) == [nil, ["tr", "a-z", "7"]])
    #expect(
      file.tools[1].schema.text
        == #"{"type": "function", "function": {"name": "up", "description": "Up.", "parameters": "#
        + #"{"type": "object", "properties": {"b": {}, "a": {}}}}}"#)
  }

  @Test(arguments: [
    ("{}", "must be a list"), ("[]", "must be a list"), ("[{name: a, command: [b], parameters: {}}]", "description"),
    ("[{name: a b, description: c, command: [b], parameters: {}}]", "name: must be"),
    ("[{name: a, description: c, parameters: {}}]", "command: is missing"),
    ("[{name: a, description: c, command: [b]}]", "parameters: must be"),
    ("[{name: a, description: c, command: [[b]], parameters: {}}]", "command: must be a list of words"),
    ("[{name: a, description: c, command: [b], parameters: {}, time_limit: 0}]", "time_limit"),
    ("[{name: a, description: c, command: [b], parameters: {}, tme: 0}]", "unknown key tme"),
    ("[{name: python, command: [b]}]", "python is the interpreter"),
    ("[{name: python}, {name: python}]", "stands there twice"),
  ]) func aBadManifestIsRefused(text: String, part: String) throws {
    let error = #expect(throws: MartletError.self) { try manifest(text) }
    #expect(error?.status == .configuration && error?.message.contains(part) == true, "\(error?.message ?? "")")
  }

  @Test func callsComeToResults() throws {
    let tools = try tools(limit: 15)
    let first = try tools.call("double", arguments: #"{"n": 21}"#)
    #expect(first.status == .ok && first.output == "double 42, call 1\n" && first.ms > 0)
    let wrong = try tools.call("double", arguments: #"{"n": "x"}"#)
    #expect(wrong.status == .error && wrong.output == "n must be a whole number\n")
    let late = try tools.call("double", arguments: #"{"n": "sleep"}"#)
    #expect(late.status == .timeout && late.output == "[time limit: stopped after 15.0 s]\n")
    let dead = try tools.call("double", arguments: #"{"n": "die"}"#)
    #expect(dead.status == .crashed && dead.output == "[crashed: the tool ended]\n")
    #expect(try tools.call("double", arguments: #"{"n": 1}"#).output == "double 2, call 1\n", "it starts again")
    let long = try tools.call("double", arguments: "{\"n\": 1\(String(repeating: "0", count: 18))}")
    #expect(long.output == "double 2\(String(repeating: "0", count: 18)), call 2\n")
    let error = #expect(throws: MartletError.self) { try tools.call("double", arguments: #"{"n": "garbage"}"#) }
    #expect(error?.message.contains("tools: double: python3") == true && error?.message.contains("oops") == true)
  }

  /// One that has never answered is a fault of the program, not of the call.
  @Test func aToolThatNeverAnsweredStopsTheRun() throws {
    let tools = try tools()
    let error = #expect(throws: MartletError.self) { try tools.call("double", arguments: #"{"n": "die"}"#) }
    #expect(error?.message.contains("exit status 3") == true, "\(error?.message ?? "")")
  }

  // MARK: - In an episode

  private func episode(_ call: String, recorded: [Episode.Call] = []) throws -> Episode {
    let tokenizer = try RolloutFixtures.tokenizer()
    let sampler = Sampler(
      model: try RolloutFixtures.callingModel(), tokenizer: tokenizer, stopTokens: [RolloutFixtures.stop],
      pool: WorkerPool(threadCount: 1), interpreter: nil)
    sampler.tools = try tools()
    var request = SampleRequest(
      problem: Problem(id: "a", problem: "?", gold: "1"), promptTokens: tokenizer.encode("Question"),
      prefix: Prefix(
        hint: "<tool_call>\n\(call)\n</tool_call>\n", kind: .delayed, reason: "a test", tokenizer: tokenizer))
    request.recordedCalls = recorded
    let settings = SamplerSettings(seed: 1, maxTokens: 400, maxCalls: 2, tools: .toolCall)
    return try sampler.run([request], settings: settings)[0]
  }

  @Test func anEpisodeHoldsItsCalls() throws {
    let episode = try episode(#"{"name": "double", "arguments": {"n": 4}}"#)
    #expect(episode.calls.map(\.tool) == ["double"])
    #expect(episode.calls.map(\.code) == [#"{"n": 4}"#])
    #expect(episode.calls.map(\.output) == ["double 8, call 1\n"])
    let text = try episode.segments(RolloutFixtures.tokenizer()).first { $0.author == .tool }?.text
    #expect(text == "<tool_response>\ndouble 8, call 1\n</tool_response>\n" || text?.contains("double 8") == true)
    #expect(episode.defect == nil)
    // As it is written and read again.
    let line = try JSONDecoder().decode(Episode.self, from: Data(JSONLines.line(episode)))
    #expect(line.calls.map(\.tool) == ["double"])
  }

  @Test func whatWasRecordedIsNotAskedAgain() throws {
    let record = Episode.Call(
      code: #"{"n": 4}"#, tool: "double", status: .ok, detail: "ok", output: "from the record\n", ms: 1)
    #expect(try episode(#"{"name": "double", "arguments": {"n": 4}}"#, recorded: [record]).calls == [record])
    // Another tool's record is another call's.
    var other = record
    other.tool = "half"
    let asked = try episode(#"{"name": "double", "arguments": {"n": 4}}"#, recorded: [other])
    #expect(asked.calls.map(\.output) == ["double 8, call 1\n"])
  }

  @Test(arguments: [
    (#"{"name": "python", "arguments": {"code": "1"}}"#, "there is no tool named \"python\"; use \"double\"\n"),
    (#"{"name": "double", "arguments": [4]}"#, "the arguments of \"double\" are no JSON object\n"),
    (#"{"name": "double"}"#, "the arguments of \"double\" are no JSON object\n"),
  ]) func anUnknownToolIsAnErrorForTheModel(call: String, output: String) throws {
    let episode = try episode(call)
    #expect(episode.calls.map(\.status) == [.error])
    #expect(episode.calls.map(\.output) == [output])
  }
}
