import Reports
import Support

/// A diagnosis for a terminal.
struct DiagnosisText {
  let diagnosis: Diagnosis
  let isColoured: Bool

  /// How many of the problems that teach are named.
  private static let named = 8

  var text: String {
    (figures + rates + outcomes + teaching + examples + advice).joined(separator: "\n") + "\n"
  }

  private func paint(_ colour: Colour?, _ text: String) -> String {
    isColoured ? colour?.paint(text) ?? text : text
  }

  private func line(_ name: String, _ text: String, _ colour: Colour? = nil) -> String {
    paint(.dim, padded(name, to: 10)) + paint(colour, text)
  }

  private func share(_ part: Int, _ whole: Int) -> String {
    whole == 0 ? "-" : decimals(100 * Double(part) / Double(whole), 0) + " %"
  }

  private var figures: [String] {
    let passes = diagnosis.passAtK.map { "pass@\($0.k) \(decimals($0.pass, 3))" }
    return [
      line("problems", "\(diagnosis.problems), \(diagnosis.responses) responses"),
      line("solved", passes.isEmpty ? "nothing can be scored" : passes.joined(separator: "  ")),
    ]
  }

  private var rates: [String] {
    let rates = diagnosis.rates
    let rows: [(String, Int, Colour?)] =
      [("never", rates.never, .red)]
      + zip(["to 25 %", "to 50 %", "to 75 %", "below 100 %"], rates.quarters).map { ($0, $1, .green) }
      + [("always", rates.always, .dim)]
    let most = max(1, rows.map(\.1).max() ?? 1)
    let bars = rows.enumerated().map { index, row in
      let bar = String(repeating: "█", count: (row.1 * 24 + most - 1) / most)
      return line(
        index == 0 ? "rate" : "",
        padded(row.0, to: 11) + padded("\(row.1)", to: 5, right: true) + "  " + paint(row.2, bar))
    }
    guard diagnosis.groups > 0 else { return bars }
    return bars + [
      line(
        "signal",
        "\(diagnosis.withoutSignal) of \(diagnosis.groups) groups "
          + "(\(share(diagnosis.withoutSignal, diagnosis.groups))) have equal rewards",
        2 * diagnosis.withoutSignal >= diagnosis.groups ? .yellow : nil)
    ]
  }

  private var outcomes: [String] {
    let counts = Diagnosis.Outcome.allCases.compactMap { outcome -> String? in
      guard let count = diagnosis.outcomes[outcome], count > 0 else { return nil }
      return "\(name(outcome)) \(count) (\(share(count, diagnosis.responses)))"
    }
    var lines = [line("responses", counts.joined(separator: ", "))]
    if let rewards = diagnosis.rewards {
      var text =
        "mean \(shortNumber(rewards.mean)), from \(shortNumber(rewards.lowest)) to \(shortNumber(rewards.highest))"
      if let low = rewards.lowestAccepted { text += "; right ones from \(shortNumber(low))" }
      if let high = rewards.highestRejected { text += ", others up to \(shortNumber(high))" }
      lines.append(line("reward", text))
    }
    let calls = diagnosis.calls
    lines.append(
      line(
        "calls",
        "\(share(calls.responses, diagnosis.responses)) of responses call a tool"
          + (calls.calls == 0
            ? ""
            : ", \(calls.calls) calls, \(share(calls.failed, calls.calls)) of them failed; right "
              + "\(share(calls.correctWith, calls.responses)) with calls, "
              + "\(share(calls.correctWithout, diagnosis.responses - calls.responses)) without")))
    return lines
  }

  private func name(_ outcome: Diagnosis.Outcome) -> String {
    switch outcome {
    case .accepted: "right"
    case .wrong: "wrong"
    case .noAnswer: "no answer"
    case .cutOff: "cut off"
    case .ungradable: "gold unreadable"
    case .timeout: "grading timed out"
    case .sandboxError: "sandbox failed"
    }
  }

  private var teaching: [String] {
    let all = diagnosis.teaching
    let names = all.prefix(Self.named).map { "\($0.id.printable) \($0.correct)/\($0.samples)" }
    let rest = all.count - names.count
    let text = names.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    return [
      line(
        "teach",
        "\(all.count) problem\(all.count == 1 ? " is" : "s are") solved sometimes" + (all.isEmpty ? "" : ": " + text),
        all.isEmpty ? .yellow : nil)
    ]
  }

  private var examples: [String] {
    diagnosis.examples.flatMap { example -> [String] in
      let isRight = example.outcome == .accepted
      let answer = example.answer.map { "answer \($0.printable)" } ?? "no answer"
      let gold = example.gold.map { ", gold \($0.printable)" } ?? ""
      let reward = example.reward.map { ", reward \(shortNumber($0))" } ?? ""
      let title =
        "\(example.which) \(name(example.outcome)): \(example.id.printable), sample \(example.sample), "
        + "\(example.tokens) tokens, \(answer)\(gold)\(reward)"
      let end = example.end.printable.split(separator: "\n").suffix(3)
      return ["", paint(isRight ? .green : .red, title)] + end.map { paint(.dim, "  │ ") + $0 }
    }
  }

  private var advice: [String] {
    diagnosis.advice.isEmpty ? [] : [""] + diagnosis.advice.map { paint(.yellow, "advice: ") + $0.printable }
  }
}
