import Foundation
import Tensor

/// Compares an answer with the gold answer by the rules of docs/grading.md: equal text and plain numbers here,
/// everything else by value in a killable worker, which asks math-verify about notations that it does not read.
public final class Grader: @unchecked Sendable {
  /// Wall-clock seconds the worker may take for one pair.
  public let limit: Double
  private let workers: [PythonWorker]
  private let lock = NSLock()
  private var turn = 0

  /// - Parameters:
  ///   - workers: how many processes `gradeMany` may use. They start when first needed.
  public init(python: String? = nil, limit: Double = 5, workers: Int = 2) {
    self.limit = limit
    self.workers = (0..<max(1, workers)).map { _ in PythonWorker(kind: .grade, python: python) }
  }

  /// Grades the answer that a response ends in.
  /// - Throws: `MartletError` (configuration) when the worker is needed and cannot start.
  public func grade(response: String, gold: String) throws -> GradeResult {
    try grade(answer: extractAnswer(response), gold: gold)
  }

  /// - Throws: `MartletError` (configuration) when the worker is needed and cannot start.
  public func grade(answer: String?, gold: String) throws -> GradeResult {
    if let result = Self.gradeHere(answer: answer, gold: gold) { return result }
    lock.lock()
    turn = (turn + 1) % workers.count
    let worker = workers[turn]
    lock.unlock()
    return try ask(worker, answer: answer ?? "", gold: gold)
  }

  /// Results in the order of the pairs, whatever worker finished first. A nil answer is `no_answer`.
  /// - Throws: `MartletError` (configuration) when the worker is needed and cannot start.
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

  /// The pairs that our rules and math-verify judge differently. Look at them when one of the two changes.
  /// - Throws: as `gradeMany`.
  package func audit(
    _ pairs: [(answer: String?, gold: String)]
  ) throws -> [(place: Int, here: GradeResult, mathVerify: Verdict)] {
    let results = try gradeMany(pairs)
    return try pairs.indices.compactMap { place in
      guard let answer = pairs[place].answer, results[place].how != nil, results[place].how != .mathVerify else {
        return nil
      }
      let there = try ask(workers[0], answer: answer, gold: pairs[place].gold, only: .mathVerify).verdict
      return results[place].verdict == there ? nil : (place, results[place], there)
    }
  }

  /// A key for each answer by which votes are counted: answers of the same value have the same key. An answer in a form
  /// that is not read keeps its spelling. nil: it cannot vote, because its box never closed.
  /// - Throws: `MartletError` (configuration) when the worker is needed and cannot start.
  public func voteKeys(_ answers: [String]) throws -> [String?] {
    struct Reply: Decodable { var key: String? }
    return try answers.map { answer in
      let text = AnswerText.normalized(answer)
      if let number = Self.integer(text) { return number }
      do {
        return try JSONDecoder().decode(Reply.self, from: try workers[0].call(["key": answer], limit: limit)).key
      } catch is PythonWorker.Failure {
        return "text \(text)"
      }
    }
  }

  /// The key of a whole number of up to 18 digits, as the worker writes it.
  private static func integer(_ text: String) -> String? {
    guard text.utf8.count < 19, text.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }),
      let value = Int(text)
    else { return nil }
    return "\(value < 0 ? "-" : "")\(String(value.magnitude, radix: 16))/1"
  }

  /// The verdict, where reading two numbers is enough; nil: ask the worker.
  package static func gradeHere(answer: String?, gold: String) -> GradeResult? {
    if let answer, max(answer.utf8.count, gold.utf8.count) > AnswerText.longest {
      // Nothing here may be slow; the worker has a time limit.
      return answer == gold ? GradeResult(verdict: .correct, answer: answer, how: .exact) : nil
    }
    let wanted = AnswerText.normalized(gold)
    guard !wanted.isEmpty else { return GradeResult(verdict: .ungradable, answer: answer, how: nil) }
    guard let answer, case let given = AnswerText.normalized(answer), !given.isEmpty else {
      return GradeResult(verdict: .noAnswer, answer: nil, how: nil)
    }
    if given == wanted { return GradeResult(verdict: .correct, answer: answer, how: .exact) }
    guard let right = AnswerNumber(wanted), let left = AnswerNumber(given) else { return nil }
    // A decimal in the gold answer may be a rounded fraction: the worker knows when.
    if right.form == .decimal, left.form == .fraction, left != right { return nil }
    let how: GradeResult.How = left.form == .fraction || right.form == .fraction ? .fraction : .numeric
    return GradeResult(verdict: left == right ? .correct : .incorrect, answer: answer, how: how)
  }

  private func ask(
    _ worker: PythonWorker, answer: String, gold: String, only: GradeResult.How? = nil
  ) throws -> GradeResult {
    struct Reply: Decodable {
      var verdict: Verdict
      var how: GradeResult.How
    }
    var request = ["answer": answer, "gold": gold]
    request["only"] = only?.rawValue
    do {
      let reply = try JSONDecoder().decode(Reply.self, from: try worker.call(request, limit: limit))
      return GradeResult(verdict: reply.verdict, answer: answer, how: reply.how)
    } catch let failure as PythonWorker.Failure {
      if case .raised = failure {
        // math-verify failed on one side: on the gold answer if that also fails alone.
        let alone = try? JSONDecoder().decode(
          Reply.self, from: worker.call(["answer": gold, "gold": gold, "only": "math_verify"], limit: limit))
        return GradeResult(
          verdict: alone?.verdict == .correct ? .incorrect : .ungradable, answer: answer, how: .mathVerify)
      }
      return GradeResult(verdict: .timeout, answer: answer, how: .mathVerify)
    }
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
