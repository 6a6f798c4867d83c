import Demo
import Foundation
import Reports
import Rollout
import Support
import Tensor

extension Augmentation {
  /// A problem whose numbers are drawn: a line of the input of the method `template`.
  struct Template: DataLine {
    static let keys = ["id", "template", "numbers", "program"]

    var id: String
    /// The text, with `{name}` for each number.
    var template: String
    /// From and to, both included, by name.
    var numbers: [String: [Int]]
    /// Code that prints the answer last, given the numbers as variables. One that raises refuses the draw.
    var program: String
  }

  /// Draws that a template may refuse in a row.
  private static let patience = 200

  /// New problems from templates.
  /// - Throws: `MartletError` (data) for a template that cannot be used; `Interrupted`.
  public static func fromTemplates(
    _ input: String, _ settings: Settings, to output: String, context: StageContext
  ) throws -> Augmentation {
    var templates: [(template: Template, place: String)] = []
    try JSONLines.forEach(input, as: Template.self) { template, line in
      templates.append((template, "\(input):\(line)"))
    }
    var work = try Augmentation(settings, sources: [])
    let host = try context.interpreter(InterpreterSettings())
    for (template, place) in templates {
      try template.check(place)
      for number in 0..<settings.perProblem {
        try context.checkCancelled()
        try work.add(template, number, place, host)
      }
    }
    try work.write(to: output)
    return work
  }

  private mutating func add(_ template: Template, _ number: Int, _ place: String, _ host: InterpreterHost) throws {
    var refused = ""
    for attempt in 0..<Self.patience {
      var random = CounterRandom(
        seed: settings.seed, path: [stableHash("augment"), stableHash(template.id), UInt64(number), UInt64(attempt)])
      let (text, code) = template.drawn(&random)
      guard !isKnown(text) else {
        refused = "the same numbers again"
        continue
      }
      let session = try host.open(key: settings.seed)
      defer { session.close() }
      let result = session.run(code)
      if result.status == .sandboxError {
        throw MartletError(.configuration, "\(place): the sandbox failed: \(result.detail); train doctor checks it")
      }
      guard result.status == .ok, let answer = Self.lastLine(result.output) else {
        refused = result.output
        continue
      }
      let proposal = Proposal(id: "\(template.id)-\(number)", text: text, method: .template, from: [])
      guard admits(proposal) else { return }
      let provenance = Provenance(method: .template, from: [template.id], seed: settings.seed, program: code)
      return keep(proposal, answer: answer, provenance)
    }
    throw MartletError(
      .data, "\(place): program: refused \(Self.patience) draws in a row, the last with: \(refused.suffix(300))")
  }

  /// The last line that is not blank; nil: there is none.
  static func lastLine(_ output: String) -> String? {
    output.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.last { !$0.isEmpty }
  }
}

extension Augmentation.Template {
  func check(_ place: String) throws {
    for (name, range) in numbers.sorted(by: { $0.key < $1.key }) {
      guard range.count == 2, range[0] <= range[1], range[1] < 1 << 53, range[0] > -(1 << 53),
        name.wholeMatch(of: /[A-Za-z_]\w*/) != nil
      else { throw MartletError(.data, "\(place): numbers.\(name): must be a name with two numbers, from and to") }
      guard template.contains("{\(name)}") else {
        throw MartletError(.data, "\(place): numbers.\(name): {\(name)} does not stand in the template")
      }
    }
  }

  /// A text, and the code that answers it.
  func drawn(_ random: inout CounterRandom) -> (text: String, code: String) {
    var (text, code) = (template, "")
    for (name, range) in numbers.sorted(by: { $0.key < $1.key }) {
      let value = random.integer(range[0]...range[1])
      text.replace("{\(name)}", with: String(value))
      code += "\(name) = \(value)\n"
    }
    return (text, code + program)
  }
}
