import Tensor

extension TrainingPass {
  /// Log-prob and entropy of each target, in chunks of rows: never all logits at once.
  public func score(_ targets: [Target]) -> TargetScores {
    scoreChunks(targets) { _, _, _ in }
  }

  /// Scores the targets and sends the coefficients that `coefficients` returns back into the head and the hidden
  /// states, chunk by chunk.
  ///
  /// - Parameter coefficients: is given the range of targets of a chunk, their log-probs and their entropies (slices
  ///   indexed by that range), and returns one pair of coefficients a target.
  @discardableResult
  public func scoreAndBackpropagate(
    _ targets: [Target],
    coefficients: (Range<Int>, ArraySlice<Float>, ArraySlice<Float>) -> [TargetCoefficients]
  ) -> TargetScores {
    precondition(canBackpropagate, "scoreAndBackpropagate: needs gradients and a forward pass before it")
    return scoreChunks(targets) { range, scores, chunk in
      let answers = coefficients(range, scores.logProbs[range], scores.entropies[range])
      precondition(answers.count == range.count, "\(range.count) targets, but \(answers.count) coefficients")
      chunk.backpropagate(answers, dHidden: buffers!.dHidden)
    }
  }

  /// Rows of a chunk: about 256 MB of logits, at least 256 rows.
  static func chunkLimit(vocabulary V: Int) -> Int { min(4096, max(256, (1 << 26) / V)) }

  /// Rows of each chunk but the last, all chunks about alike.
  static func chunkSize(targets: Int, vocabulary: Int) -> Int {
    let limit = chunkLimit(vocabulary: vocabulary)
    let chunks = max(1, (targets + limit - 1) / limit)
    return (targets + chunks - 1) / chunks
  }

  private func scoreChunks(
    _ targets: [Target], then body: (Range<Int>, TargetScores, HeadChunk) -> Void
  ) -> TargetScores {
    guard let buffers, !targets.isEmpty else {
      precondition(targets.isEmpty, "score: there is no forward pass before it")
      return TargetScores()
    }
    timer?.begin(.head)
    defer { timer?.begin(.other) }
    var scores = TargetScores(
      logProbs: [Float](repeating: 0, count: targets.count), entropies: [Float](repeating: 0, count: targets.count))
    scores.makeRoomForViews(targets)
    let V = model.configuration.vocabularySize
    let size = Self.chunkSize(targets: targets.count, vocabulary: V)
    let chunk = headChunk(capacity: size)
    for start in stride(from: 0, to: targets.count, by: size) {
      let range = start..<min(start + size, targets.count)
      chunk.score(Array(targets[range]), hidden: buffers.hidden)
      for (offset, index) in range.enumerated() {
        scores.logProbs[index] = chunk.logProbs[offset]
        scores.entropies[index] = chunk.statistics[offset].entropy
      }
      scores.takeViews(of: chunk, range)
      body(range, scores, chunk)
    }
    return scores
  }

  /// Memory for a chunk, kept for the next call: a page costs more when it is new than when it is read.
  private func headChunk(capacity: Int) -> HeadChunk {
    if let keptChunk, keptChunk.capacity >= capacity { return keptChunk }
    keptChunk = nil  // first give back, then take
    let made = HeadChunk(self, capacity: capacity)
    keptChunk = made
    return made
  }

  /// The value head's output for the given rows.
  public func values(rows: [Int]) -> [Float] {
    guard let buffers, !rows.isEmpty else { return [] }
    let C = model.configuration.hiddenSize
    let hidden = gather(buffers.hidden, rows: rows)
    var values = [Float](repeating: 0, count: rows.count)
    values.withUnsafeMutableBufferPointer {
      packed.value().apply(
        MutableRows($0.baseAddress!, count: rows.count, width: 1), Rows(hidden.pointer, count: rows.count, width: C),
        pool: pool)
    }
    return values
  }

  /// Sends dLoss / dValue of the given rows back into the value head and the hidden states.
  public func backpropagateValues(rows: [Int], dValues: [Float]) {
    precondition(rows.count == dValues.count, "\(rows.count) rows, but \(dValues.count) gradients of values")
    guard gradients != nil, let buffers, canBackpropagate else {
      preconditionFailure("backpropagateValues: needs gradients and a forward pass before it")
    }
    guard !rows.isEmpty else { return }
    let C = model.configuration.hiddenSize
    let hidden = gather(buffers.hidden, rows: rows)
    let dX = FloatBuffer(count: rows.count * C)
    dValues.withUnsafeBufferPointer { dValues in
      let dY = Rows(dValues.baseAddress!, count: rows.count, width: 1)
      linearBackwardWeight(
        MutableRows(gradient("value_head.weight"), count: 1, width: C), dY: dY,
        x: Rows(hidden.pointer, count: rows.count, width: C), mode: matmul, pool: pool)
      linearBackwardInput(
        MutableRows(dX.pointer, count: rows.count, width: C), dY: dY,
        weight: Rows(model.pointer("value_head.weight"), count: 1, width: C), accumulate: false, mode: matmul,
        pool: pool)
    }
    scatterAdd(buffers.dHidden, rows: rows, dX.pointer)
  }

  func gather(_ source: UnsafePointer<Float>, rows: [Int]) -> FloatBuffer {
    let result = FloatBuffer(count: rows.count * model.configuration.hiddenSize)
    gather(into: result.pointer, source, rows: rows)
    return result
  }

  func gather(into target: Pointer, _ source: UnsafePointer<Float>, rows: [Int]) {
    let C = model.configuration.hiddenSize
    for (place, row) in rows.enumerated() {
      precondition(row >= 0 && row < batch.tokens.count, "row \(row) is outside of the \(batch.tokens.count) rows")
      (target + place * C).update(from: source + row * C, count: C)
    }
  }

  func scatterAdd(_ target: Pointer, rows: [Int], _ source: UnsafePointer<Float>) {
    let C = model.configuration.hiddenSize
    for (place, row) in rows.enumerated() {
      for column in 0..<C { target[row * C + column] += source[place * C + column] }
    }
  }
}
