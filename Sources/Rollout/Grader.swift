import Foundation
import Tensor

/// Compares an answer with the gold answer: equal text, then exact numbers and fractions here, everything else by
/// math-verify in a killable worker.
public final class Grader: @unchecked Sendable {
  /// Wall-clock seconds math-verify may take for one pair.
  public let limit: Double
  private let workers: [PythonWorker]
  private let lock = NSLock()
  private var turn = 0

  /// - Parameters:
  ///   - workers: how many math-verify processes `gradeMany` may use. They start when first needed.
  public init(python: String? = nil, limit: Double = 5, workers: Int = 2) {
    self.limit = limit
    self.workers = (0..<max(1, workers)).map { _ in PythonWorker(kind: .grade, python: python) }
  }

  /// Grades the answer that a response ends in.
  /// - Throws: `MartletError` (configuration) when math-verify is needed and cannot start.
  public func grade(response: String, gold: String) throws -> GradeResult {
    try grade(answer: extractAnswer(response), gold: gold)
  }

  /// - Throws: `MartletError` (configuration) when math-verify is needed and cannot start.
  public func grade(answer: String?, gold: String) throws -> GradeResult {
    if let result = Self.gradeHere(answer: answer, gold: gold) { return result }
    lock.lock()
    turn = (turn + 1) % workers.count
    let worker = workers[turn]
    lock.unlock()
    return try ask(worker, answer: answer ?? "", gold: gold)
  }

  /// Results in the order of the pairs, whatever worker finished first. A nil answer is `no_answer`.
  /// - Throws: `MartletError` (configuration) when math-verify is needed and cannot start.
  public func gradeMany(_ pairs: [(answer: String?, gold: String)]) throws -> [GradeResult] {
    var results = pairs.map { Self.gradeHere(answer: $0.answer, gold: $0.gold) }
    let hard = results.indices.filter { results[$0] == nil }
    if hard.isEmpty { return results.compactMap { $0 } }
    let shared = Shared(results: [GradeResult?](repeating: nil, count: hard.count))
    let used = min(workers.count, hard.count)
    DispatchQueue.concurrentPerform(iterations: used) { part in
      while let next = shared.take() {
        let pair = pairs[hard[next]]
        do {
          shared.set(next, try ask(workers[part], answer: pair.answer ?? "", gold: pair.gold))
        } catch {
          shared.fail(error)
        }
      }
    }
    if let error = shared.error { throw error }
    for (position, index) in hard.enumerated() { results[index] = shared.results[position] }
    return results.compactMap { $0 }
  }

  /// The pairs that are judged here and that math-verify judges otherwise: what to look at when one of the two changes.
  /// - Throws: as `gradeMany`.
  package func audit(
    _ pairs: [(answer: String?, gold: String)]
  ) throws -> [(place: Int, here: GradeResult, mathVerify: Verdict)] {
    try pairs.enumerated().compactMap { place, pair in
      guard let answer = pair.answer, let here = Self.gradeHere(answer: answer, gold: pair.gold) else { return nil }
      let there = try ask(workers[0], answer: answer, gold: pair.gold).verdict
      return here.verdict == there ? nil : (place, here, there)
    }
  }

  /// The verdict, where it takes no algebra; nil: ask math-verify.
  package static func gradeHere(answer: String?, gold: String) -> GradeResult? {
    if let answer, max(answer.utf8.count, gold.utf8.count) > AnswerText.longest {
      // Nothing here may take long; math-verify has a clock.
      return answer == gold ? GradeResult(verdict: .correct, answer: answer, how: .exact) : nil
    }
    let wanted = AnswerText.normalized(gold)
    guard !wanted.isEmpty else { return GradeResult(verdict: .ungradable, answer: answer, how: nil) }
    guard let answer, case let given = AnswerText.normalized(answer), !given.isEmpty else {
      return GradeResult(verdict: .noAnswer, answer: nil, how: nil)
    }
    if given == wanted { return GradeResult(verdict: .correct, answer: answer, how: .exact) }
    if let choice = AnswerText.choice(wanted), choice == AnswerText.choice(given) {
      return GradeResult(verdict: .correct, answer: answer, how: .exact)
    }
    if isWord(wanted), isWord(given), wanted.lowercased() == given.lowercased() {
      return GradeResult(verdict: .correct, answer: answer, how: .exact)
    }
    guard let right = AnswerNumber(AnswerText.withoutUnit(wanted)),
      let left = AnswerNumber(AnswerText.withoutUnit(given))
    else { return nil }
    let how: GradeResult.How = left.form == .fraction || right.form == .fraction ? .fraction : .numeric
    if left == right { return GradeResult(verdict: .correct, answer: answer, how: how) }
    // Rounded decimals are math-verify's to judge; numbers that are simply different are not.
    let distance = (left.approximate - right.approximate).magnitude
    let exact = left.form != .decimal && right.form != .decimal
    if exact || distance > 1e-4 * max(1, right.approximate.magnitude) {
      return GradeResult(verdict: .incorrect, answer: answer, how: how)
    }
    return nil
  }

  /// A word of letters: `even`, `Evelyn`; single letters are variables or choices.
  private static func isWord(_ text: String) -> Bool {
    text.count > 1 && text.allSatisfy { $0.isLetter || $0 == " " }
  }

  private func ask(_ worker: PythonWorker, answer: String, gold: String) throws -> GradeResult {
    struct Reply: Decodable { var verdict: Verdict }
    // math-verify reads what stands in a box; dollars inside one would end its mathematics.
    let request = ["answer": Self.boxable(answer), "gold": Self.boxable(gold)]
    do {
      let reply = try JSONDecoder().decode(Reply.self, from: try worker.call(request, limit: limit))
      return GradeResult(verdict: reply.verdict, answer: answer, how: .mathVerify)
    } catch let failure as PythonWorker.Failure {
      if case .raised = failure {
        // math-verify stumbled over one side: over the gold answer when that fails on its own too.
        let alone = try? JSONDecoder().decode(
          Reply.self, from: worker.call(["answer": request["gold"] ?? "", "gold": request["gold"] ?? ""], limit: limit))
        return GradeResult(
          verdict: alone?.verdict == .correct ? .incorrect : .ungradable, answer: answer, how: .mathVerify)
      }
      return GradeResult(verdict: .timeout, answer: answer, how: .mathVerify)
    }
  }

  private static func boxable(_ text: String) -> String {
    AnswerText.plain(text).replacingOccurrences(of: "\\$", with: "").replacingOccurrences(of: "$", with: "")
  }

  /// What the workers of one batch share.
  private final class Shared: @unchecked Sendable {
    private let lock = NSLock()
    private var next = 0
    private(set) var results: [GradeResult?]
    private(set) var error: (any Error)?

    init(results: [GradeResult?]) { self.results = results }

    func take() -> Int? {
      lock.lock()
      defer { lock.unlock() }
      guard error == nil, next < results.count else { return nil }
      next += 1
      return next - 1
    }

    func set(_ index: Int, _ result: GradeResult) {
      lock.lock()
      results[index] = result
      lock.unlock()
    }

    func fail(_ problem: any Error) {
      lock.lock()
      error = error ?? problem
      lock.unlock()
    }
  }
}
