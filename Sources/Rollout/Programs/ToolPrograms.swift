import Foundation
import Support

/// The tools of a manifest with their programs. One program serves all responses, in no fixed order, so what a call
/// returns must depend on its arguments alone. Used from any thread.
public final class ToolPrograms: Sendable {
  /// The names that the model may call, `python` among them where the manifest has it.
  public let names: [String]
  /// Whether the interpreter is one of them.
  package let hasPython: Bool
  private let workers: [String: ProgramWorker]
  private let outputBytes: Int

  /// - Parameters:
  ///   - python: as in `InterpreterSettings`.
  ///   - outputBytes: bytes of an output that are kept: the first half and the last half of them.
  public init(_ manifest: ToolManifest, python: String? = nil, outputBytes: Int = 16_384) {
    names = manifest.tools.map(\.name)
    hasPython = manifest.hasPython
    let commands = manifest.tools.compactMap { tool in tool.command.map { (tool.name, $0) } }
    workers = Dictionary(uniqueKeysWithValues: commands.map { ($0, ProgramWorker($1, python: python)) })
    self.outputBytes = outputBytes
  }

  /// Sends a call to its program. What the program says of bad arguments, a call that takes too long and one that ends
  /// the program are results; the model sees them.
  /// - Parameter arguments: a JSON object.
  /// - Throws: `MartletError` (configuration) when the program cannot be started, writes no reply, or ends before it
  ///   has ever answered.
  package func call(_ name: String, arguments: String) throws -> CallResult {
    guard let worker = workers[name] else { preconditionFailure("\(name): no tool of \(names)") }
    let started = ContinuousClock.now
    func result(_ status: CallResult.Status, _ detail: String, _ output: String) -> CallResult {
      let ms = Double((ContinuousClock.now - started) / .microseconds(1)) / 1000
      return CallResult(status: status, detail: detail, output: cut(output), ms: ms)
    }
    do {
      let reply = try worker.ask(
        .object([("tool", JSONValue(name)), ("arguments", JSONValue(json: arguments) ?? .object([]))]))
      if reply.count == 1, let text = reply[0].value.asText {
        if reply[0].key == "output" { return result(.ok, "ok", text) }
        if reply[0].key == "error" { return result(.error, "tool", text) }
      }
      throw ProgramWorker.Failure.garbage(
        "answered \(JSONValue.object(reply).text.prefix(200)), which is neither {\"output\": text} nor "
          + "{\"error\": text}")
    } catch ProgramWorker.Failure.timeout {
      return result(.timeout, "time_wall", "[time limit: stopped after \(worker.command.timeLimit) s]")
    } catch ProgramWorker.Failure.ended(_) where worker.hasAnswered {
      return result(.crashed, "ended", "[crashed: the tool ended]")
    } catch let failure as ProgramWorker.Failure {
      throw MartletError(
        .configuration,
        "\(worker.command.key): \(worker.command.text): arguments \(arguments.prefix(200)): "
          + "\(failure.text(worker.command)); mend the program (docs/programs.md)")
    }
  }

  private func cut(_ output: String) -> String {
    let bytes = Array(output.utf8)
    let half = outputBytes / 2
    let isCut = bytes.count > outputBytes
    let text = InterpreterOutput.text(
      head: isCut ? Array(bytes.prefix(half)) : bytes, tail: isCut ? Array(bytes.suffix(outputBytes - half)) : [],
      total: bytes.count, flooded: false)
    return text.isEmpty || text.hasSuffix("\n") ? text : text + "\n"
  }
}
