import Rollout
import Support

extension Diagnosis {
  /// What stands in the way of learning from these responses, each with a remedy.
  func advice(_ groups: [[Episode]]) -> [String] {
    var found: [String] = []
    func say(_ isSo: Bool, _ text: @autoclosure () -> String) { if isSo { found.append(text()) } }
    let solved = rates.quarters.reduce(rates.always, +)
    let rated = solved + rates.never
    say(
      rated > 0 && solved == 0,
      "no problem was solved, so rewards have nothing to tell apart: give easier problems, more samples, a "
        + "prompt.hint, a teacher, or train on examples first (sft, rft)")
    say(
      rates.always == rated && rated > 0,
      "every response is right, so there is nothing left to learn here: give harder problems")
    say(
      solved > 0 && rates.always < rated && 2 * withoutSignal >= max(1, self.groups),
      "\(withoutSignal) of \(self.groups) groups have equal rewards and teach nothing: let groups.refill replace them, "
        + "or train on the problems that teach (--teaching FILE)")
    let several = groups.filter { $0.count > 1 }
    say(
      !several.isEmpty && several.allSatisfy { Set($0.map(\.tokens)).count == 1 },
      "all responses to a problem are the same: raise sampling.temperature, top_p or top_k")
    found += adviceOnOutcomes(groups)
    if let low = rewards?.lowestAccepted, let high = rewards?.highestRejected, high >= low {
      found.append(
        "a response that is not right earns \(shortNumber(high)), and a right one as little as \(shortNumber(low)): "
          + "weigh the parts of the reward so that right ones earn more")
    }
    return found
  }

  private func adviceOnOutcomes(_ groups: [[Episode]]) -> [String] {
    var found: [String] = []
    func count(_ outcome: Outcome) -> Int { outcomes[outcome, default: 0] }
    func say(_ isSo: Bool, _ text: @autoclosure () -> String) { if isSo { found.append(text()) } }
    say(
      4 * count(.noAnswer) >= responses && responses > 0,
      "\(count(.noAnswer)) of \(responses) responses end without an answer in \\boxed{}: ask for one with "
        + "prompt.instruction, or teach the form first (sft)")
    say(
      4 * count(.cutOff) >= responses && responses > 0,
      "\(count(.cutOff)) of \(responses) responses were cut off before an answer: raise sampling.max_tokens")
    let unread = groups.filter { group in group.contains { $0.verdict == .ungradable } }.map { $0[0].id }
    say(
      !unread.isEmpty,
      "gold answers that cannot be read: \(unread.count) (\(unread.prefix(3).joined(separator: ", "))), so their "
        + "responses are never rewarded: mend gt_answer, or give a grader.command")
    say(
      count(.sandboxError) > 0,
      "the sandbox failed in \(count(.sandboxError)) responses, which are left out: train doctor says what it lacks")
    let couldCall = groups.joined().contains { $0.tools.map { $0 != .none } ?? false }
    say(
      couldCall && calls.responses == 0 && responses > 0,
      "no response calls a tool: show how with a prompt.hint or examples, or set sampling.tools to none")
    say(
      calls.calls > 0 && 2 * calls.failed >= calls.calls,
      "\(calls.failed) of \(calls.calls) calls raise an error or print nothing: look at them with train show")
    return found
  }
}
