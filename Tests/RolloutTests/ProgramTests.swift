import Foundation
import Support
import TestSupport
import Testing

@testable import Rollout

/// Programs of the user's as children: what they answer, how they fail, and what they cannot do.
@Suite struct ProgramTests {
  let folder: ScratchFolder

  init() throws { folder = try ScratchFolder() }

  private func worker(_ body: String, limit: Double = 60) throws -> ProgramWorker {
    try folder.write(
      "import json, os, socket, sys, time\nfor line in sys.stdin:\n    q = json.loads(line)\n"
        + body.split(separator: "\n").map { "    \($0)\n" }.joined(), "program.py")
    return ProgramWorker(
      ProgramCommand(key: "test", words: ["python3", folder.path + "/program.py"], timeLimit: limit))
  }

  private func ask(_ worker: ProgramWorker, _ number: Int = 1) throws -> String {
    JSONValue.object(try worker.ask(.object([("n", .number(Double(number), literal: "\(number)"))]))).text
  }

  private func failure(_ worker: ProgramWorker, _ number: Int = 1) -> ProgramWorker.Failure? {
    #expect(throws: ProgramWorker.Failure.self) { try ask(worker, number) }
  }

  @Test func aProgramKeepsItsStateFromRequestToRequest() throws {
    let worker = try worker("total = globals().get('total', 0) + q['n']\nprint(json.dumps({'total': total}))")
    #expect(try (1...3).map { try ask(worker, $0) } == [#"{"total": 1}"#, #"{"total": 3}"#, #"{"total": 6}"#])
    worker.stop()
    #expect(try ask(worker, 5) == #"{"total": 5}"#)
  }

  @Test func everyFaultHasItsName() throws {
    let slow = try worker("time.sleep(q['n'])\nprint('{}')", limit: 15)
    #expect(try ask(slow, 0) == "{}")
    #expect(failure(slow, 1000) == .timeout)
    #expect(try ask(slow, 0) == "{}", "it starts again")
    guard case .ended(let how)? = failure(try worker("raise ValueError('no such city')")) else {
      Issue.record("it did not end")
      return
    }
    #expect(how.contains("exit status 1") && how.contains("ValueError: no such city"), "\(how)")
    for (text, part) in [("hello", "no JSON object: \"hello\""), ("[1]", "no JSON object"), ("{'a': 1}", "no JSON")] {
      guard case .garbage(let why)? = failure(try worker("print(\"\(text)\")")) else {
        Issue.record("\(text) is taken")
        return
      }
      #expect(why.contains(part), "\(why)")
    }
    #expect(failure(try worker("print(json.dumps({'a': float('nan')}))")) != nil)
    #expect(failure(try worker("sys.stdout.buffer.write(bytes([255, 10]))\nsys.stdout.flush()")) != nil)
    guard case .garbage(let twice)? = failure(try worker("os.write(1, b'{}\\n{}\\n')")) else {
      Issue.record("two lines are taken")
      return
    }
    #expect(twice.contains("more than one line"), "\(twice)")
  }

  /// A line too many is not taken for the reply to the next request.
  @Test func aLineThatNobodyAskedForIsAFault() throws {
    let worker = try worker("print('{}')\ntime.sleep(0.3)\nprint('{\"late\": 1}')")
    #expect(try ask(worker) == "{}")
    usleep(1_500_000)
    #expect(failure(worker) == .garbage("wrote a line that no request asked for"))
  }

  @Test func aProgramIsConfined() throws {
    setenv("MARTLET_SECRET", "1", 1)
    try folder.write("beside", "beside.txt")
    let other = try ScratchFolder()
    try other.write("secret", "secret.txt")
    let worker = try worker(
      """
      def tried(what):
          try: return str(what())
          except OSError: return 'refused'
      print(json.dumps({
          'network': tried(lambda: socket.socket(socket.AF_INET)), 'secret': os.environ.get('MARTLET_SECRET'),
          'beside': tried(lambda: open('\(folder.path)/beside.txt').read()),
          'other': tried(lambda: open('\(other.path)/secret.txt').read()),
          'change': tried(lambda: open('\(folder.path)/beside.txt', 'w')),
          'own': tried(lambda: open('own', 'w').write('12'))}))
      """)
    let expected =
      #"{"network": "refused", "secret": null, "beside": "beside", "other": "refused", "change": "refused", "#
      + #""own": "2"}"#
    #expect(try ask(worker) == expected)
  }

  @Test func nothingIsLeftBehind() throws {
    let mark = "martlet-\(UUID().uuidString)"
    let worker = try worker(
      "import subprocess\n"
        + "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '\(mark)'])\nprint('{}')"
    )
    #expect(try ask(worker) == "{}")
    #expect(Self.processes(mark) == 1)
    worker.stop()
    #expect(Self.processes(mark) == 0)
  }

  private static func processes(_ mark: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.count { name in
      guard Int(name) != nil, let line = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
        return false
      }
      return line.range(of: Data("\0\(mark)\0".utf8)) != nil
    } ?? -1
  }

  @Test func aProgramThatIsNotThereIsNamed() throws {
    for (words, part) in [
      (["no-such-program"], "test: no-such-program was not found in PATH"), (["./none"], "./none is no file"),
      (["python3 reward.py"], "write the words as a list"), ([], "names no program"),
    ] {
      let worker = ProgramWorker(ProgramCommand(key: "test", words: words, timeLimit: 5))
      let error = #expect(throws: MartletError.self) { try worker.ask(.object([])) }
      #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
    }
  }
}
