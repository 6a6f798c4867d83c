import Support
import Transformer

/// One call of `Sampler.run`: which trajectory has which slot, and which tokens are read next.
final class SamplerRun {
  /// The most rows of one pass, so that prefilling never holds up decoding for long.
  static let rowsPerStep = 256

  var onEpisode: ((Int, Episode) -> Void)?
  var onCall: ((Int, Episode.Call) -> Void)?
  var onToken: ((Int, [Int32], Author) -> Void)?

  private let requests: [SampleRequest]
  private let settings: SamplerSettings
  private let sampler: Sampler
  private let pass: SamplingPass
  /// The number of each request's prompt; equal prompts have equal numbers.
  private let promptNumbers: [Int]
  /// The prompt whose first positions a slot's cache holds, and how many of them.
  private var resident: [(prompt: Int, length: Int)]
  private var sitting: [Trajectory?]
  private var nextRequest = 0
  private var episodes: [Episode?]
  private var finished = 0
  private var written = 0
  private var calls: CallRunner?
  private var callsUnderWay: [Int: Trajectory] = [:]

  init(requests: [SampleRequest], settings: SamplerSettings, sampler: Sampler, pass: SamplingPass, slots: Int) {
    self.requests = requests
    self.settings = settings
    self.sampler = sampler
    self.pass = pass
    var numbers: [[Int32]: Int] = [:]
    promptNumbers = requests.map { request in
      if let known = numbers[request.promptTokens] { return known }
      numbers[request.promptTokens] = numbers.count
      return numbers.count - 1
    }
    resident = [(prompt: Int, length: Int)](repeating: (-1, 0), count: slots)
    sitting = [Trajectory?](repeating: nil, count: slots)
    episodes = [Episode?](repeating: nil, count: requests.count)
  }

  func toTheEnd(
    onProgress: ((_ tokens: Int, _ finished: Int) -> Void)?, isCancelled: () -> Bool
  ) throws -> [Episode] {
    defer { calls?.stop() }
    while finished < requests.count {
      if isCancelled() { throw CancellationError() }
      seat()
      let rows = nextRows()
      // With nothing to read, every trajectory waits for its interpreter.
      let mustWait = rows.isEmpty && !callsUnderWay.isEmpty
      sampler.timer?.begin(mustWait ? .tools : .other)
      try takeResults(waiting: mustWait ? 0.05 : 0)
      sampler.timer?.begin(.other)
      if !rows.isEmpty { try read(rows) }
      onProgress?(written, finished)
    }
    return episodes.compactMap { $0 }
  }

  // MARK: - Slots

  /// Gives free slots to the next requests, in their order.
  private func seat() {
    while nextRequest < requests.count {
      let prompt = promptNumbers[nextRequest]
      let free = sitting.indices.filter { sitting[$0] == nil }
      guard let slot = free.first(where: { resident[$0].prompt == prompt }) ?? free.first else { return }
      let trajectory = Trajectory(
        index: nextRequest, request: requests[nextRequest], settings: settings, sampler: sampler)
      nextRequest += 1
      if resident[slot].prompt != prompt { resident[slot] = (prompt, 0) }
      trajectory.slot = slot
      sitting[slot] = trajectory
      // The last prompt token is read by everyone: it gives the first draw.
      trajectory.read = min(resident[slot].length, trajectory.tokens.count - 1)
      follow(trajectory)
    }
  }

  /// Copies the prompt's keys and values from another slot, if one holds them all.
  /// - Returns: whether the trajectory may go on; false: another slot is reading this prompt.
  private func share(_ trajectory: Trajectory) -> Bool {
    let length = min(trajectory.promptCount, trajectory.tokens.count - 1)
    let slot = trajectory.slot
    guard trajectory.read < length else { return true }
    let prompt = promptNumbers[trajectory.index]
    let others = resident.indices.filter { $0 != slot && resident[$0].prompt == prompt }
    if let source = others.first(where: { resident[$0].length >= length }) {
      pass.copyCache(from: source, to: slot, length: length)
      trajectory.read = length
      resident[slot].length = max(resident[slot].length, length)
      return true
    }
    // The lowest slot that needs the prompt reads it; the others wait.
    return !others.contains { other in
      guard let sitting = sitting[other], case .writing = sitting.state else { return false }
      return sitting.read < sitting.promptCount && other < slot
    }
  }

  /// Acts on a trajectory's new state.
  private func follow(_ trajectory: Trajectory) {
    switch trajectory.state {
    case .writing: break
    case .calling: call(trajectory)
    case .finished:
      calls?.close(index: trajectory.index)
      sitting[trajectory.slot] = nil
      let episode = trajectory.episode
      episodes[trajectory.index] = episode
      finished += 1
      onEpisode?(trajectory.index, episode)
    }
  }

  // MARK: - Reading and drawing

  private func nextRows() -> [SamplingPass.Row] {
    var rows: [SamplingPass.Row] = []
    var long: [Trajectory] = []
    for case let trajectory? in sitting {
      guard case .writing = trajectory.state, share(trajectory) else { continue }
      if trajectory.tokens.count - trajectory.read == 1 {
        rows.append(row(trajectory, trajectory.read))
      } else {
        long.append(trajectory)
      }
    }
    var budget = max(Self.rowsPerStep - rows.count, 64)
    for trajectory in long where budget > 0 {
      let count = min(budget, trajectory.tokens.count - trajectory.read)
      budget -= count
      for place in trajectory.read..<trajectory.read + count { rows.append(row(trajectory, place)) }
    }
    return rows
  }

  private func row(_ trajectory: Trajectory, _ place: Int) -> SamplingPass.Row {
    SamplingPass.Row(
      slot: trajectory.slot, token: trajectory.tokens[place], position: place,
      wantsLogits: place == trajectory.tokens.count - 1)
  }

  private func read(_ rows: [SamplingPass.Row]) throws {
    let uniforms = rows.map { $0.wantsLogits ? sitting[$0.slot]?.uniform ?? 0 : 0 }
    let V = pass.vocabularySize
    let distribution = settings.distribution
    var draws = [Draw?](repeating: nil, count: rows.count)
    draws.withUnsafeMutableBufferPointer { draws in
      pass.run(rows) { draws[$0] = draw($1, count: V, settings: distribution, uniform: uniforms[$0]) }
    }
    for (row, draw) in zip(rows, draws) {
      guard let trajectory = sitting[row.slot] else { continue }
      trajectory.read = row.position + 1
      resident[row.slot].length = max(resident[row.slot].length, min(trajectory.read, trajectory.promptCount))
      guard let draw else { continue }
      guard draw.logProb.isFinite else {
        throw MartletError(
          .data,
          "problem \(trajectory.request.problem.id): the model's logits are not numbers; its weights are damaged")
      }
      trajectory.take(draw)
      written += 1
      onToken?(trajectory.index, [draw.token], .model)
      follow(trajectory)
    }
  }

  // MARK: - Calls

  private func call(_ trajectory: Trajectory) {
    guard let pending = trajectory.pendingCall else { return }
    if let problem = pending.problem {
      let result = CallResult(status: .error, detail: Trajectory.malformed, output: problem + "\n", ms: 0)
      take(result, trajectory)
      return
    }
    if let recorded = trajectory.recordedResult { return take(recorded, trajectory) }
    let runner =
      calls
      ?? CallRunner(host: sampler.interpreter, tools: sampler.tools, threads: max(4, sampler.pool.threadCount))
    calls = runner
    callsUnderWay[trajectory.index] = trajectory
    // Tools have no state, so theirs are not executed again.
    let earlier = trajectory.calls.filter { $0.detail != Trajectory.malformed && $0.tool == nil }.map(\.code)
    runner.submit(index: trajectory.index, key: trajectory.sessionKey, earlier: earlier, call: pending)
  }

  private func takeResults(waiting seconds: Double) throws {
    guard !callsUnderWay.isEmpty, let calls else { return }
    for result in try calls.take(waiting: seconds) {
      guard let trajectory = callsUnderWay.removeValue(forKey: result.index) else { continue }
      if let call = trajectory.executed(result.result) { onCall?(result.index, call) }
      take(result.result, trajectory)
    }
  }

  private func take(_ result: CallResult, _ trajectory: Trajectory) {
    let tokens = trajectory.take(result)
    written += tokens.count
    if !tokens.isEmpty { onToken?(trajectory.index, tokens, .tool) }
    follow(trajectory)
  }
}
