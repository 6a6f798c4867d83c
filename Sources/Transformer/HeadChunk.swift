import Tensor

/// The log-prob head over one chunk of targets: logits, their scores, and the way back.
final class HeadChunk {
  private unowned let pass: TrainingPass
  /// Rows that there is memory for.
  let capacity: Int
  /// [rows, V]: logits over the temperature (of a filtered row: the kept ones, moved to its front), then their
  /// gradients.
  private let logits: FloatBuffer
  /// [rows, C]
  private let inputs: FloatBuffer
  private var targets: [Target] = []
  /// Of each target: where its logit lies in its row.
  private var places: [Int] = []
  private(set) var logProbs: [Float] = []
  private(set) var statistics: [RowStatistics] = []
  /// The likeliest tokens of each target's row, its teacher's where it has one; empty where no target asks.
  private(set) var views: [TopLogProbs] = []
  /// The KL of each target to its teacher, nil without one; empty where no target has a teacher.
  private(set) var pulls: [TeacherPull?] = []

  init(_ pass: TrainingPass, capacity: Int) {
    self.pass = pass
    self.capacity = capacity
    let c = pass.model.configuration
    logits = FloatBuffer(count: capacity * c.vocabularySize)
    inputs = FloatBuffer(count: capacity * c.hiddenSize)
  }

  /// - Parameter hidden: [N, C], which the targets' rows point into.
  func score(_ targets: [Target], hidden: UnsafePointer<Float>) {
    let (C, V) = (pass.model.configuration.hiddenSize, pass.model.configuration.vocabularySize)
    self.targets = targets
    pass.gather(into: inputs.pointer, hidden, rows: targets.map(\.row))
    pass.packed.forEachHeadBlock { block in
      block.linear.apply(
        block.columns(logits.pointer, rows: targets.count, vocabulary: V),
        Rows(inputs.pointer, count: targets.count, width: C), pool: pass.pool)
    }
    places = targets.map { $0.place(vocabulary: V) }
    logProbs = [Float](repeating: 0, count: targets.count)
    statistics = Array(
      repeating: RowStatistics(maximum: 0, logSum: 0, entropy: 0), count: targets.count)
    let places = self.places
    logProbs.withUnsafeMutableBufferPointer { logProbs in
      statistics.withUnsafeMutableBufferPointer { statistics in
        pass.pool.run(targets.count) { index in
          let row = logits.pointer + index * V
          let count = targets[index].prepare(row, vocabulary: V)
          let found = rowStatistics(row, count: count)
          statistics[index] = found
          logProbs[index] = found.logProbability(of: row[places[index]])
        }
      }
    }
    look()
  }

  /// Finds `views` and `pulls`.
  private func look() {
    (views, pulls) = ([], [])
    let (targets, statistics, rows) = (self.targets, self.statistics, logits.pointer)
    let V = pass.model.configuration.vocabularySize
    guard targets.contains(where: { $0.likeliest > 0 || $0.teacher != nil }) else { return }
    views = [TopLogProbs](repeating: .none, count: targets.count)
    views.withUnsafeMutableBufferPointer { views in
      pass.pool.run(targets.count) { index in
        let (target, row) = (targets[index], rows + index * V)
        let count = target.kept?.count ?? V
        let bound = min(count, target.kept == nil ? target.likeliestBelow ?? V : V)
        let places =
          target.teacher?.view.places ?? TopLogProbs.largest(min(target.likeliest, bound), of: row, count: bound)
        views[index] = TopLogProbs(at: places, of: row, count: count, statistics[index])
      }
    }
    guard targets.contains(where: { $0.teacher != nil }) else { return }
    pulls = zip(targets, views).map { target, view in
      target.teacher.map {
        TeacherPull(
          divergence: BucketDivergence(view, $0.view), places: view.places, coefficient: $0.coefficient)
      }
    }
  }

  /// Whether a teacher has a say in the gradient of target `index`.
  private func isPulled(_ index: Int) -> Bool { !pulls.isEmpty && (pulls[index]?.coefficient ?? 0) != 0 }

  /// Adds to dHidden [N, C] and the head's gradient. Once after `score`: the logits are overwritten by their gradients.
  func backpropagate(_ coefficients: [TargetCoefficients], dHidden: UnsafeMutablePointer<Float>) {
    let (C, V) = (pass.model.configuration.hiddenSize, pass.model.configuration.vocabularySize)
    precondition(pass.gradients != nil, "backpropagate: no gradients")
    // A target without influence adds nothing to any chain: leave its row out.
    let active = targets.indices.filter {
      coefficients[$0].logProb != 0 || coefficients[$0].entropy != 0 || isPulled($0)
    }
    guard !active.isEmpty else { return }
    for (place, index) in active.enumerated() where place != index {
      (logits.pointer + place * V).update(from: logits.pointer + index * V, count: V)
      (inputs.pointer + place * C).update(from: inputs.pointer + index * C, count: C)
    }
    let (targets, places, statistics, rows) = (self.targets, self.places, self.statistics, logits.pointer)
    let pulls = self.pulls
    pass.pool.run(active.count) { place in
      let index = active[place]
      let target = targets[index]
      let row = rows + place * V
      let count = target.kept?.count ?? V
      if let pull = pulls.isEmpty ? nil : pulls[index] {
        pull.backward(
          row, count: count, target: places[index], statistics: statistics[index], coefficients: coefficients[index],
          temperature: target.divisor)
      } else {
        logProbBackward(
          row, logits: row, count: count, target: places[index], statistics: statistics[index],
          cLogProb: coefficients[index].logProb, cEntropy: coefficients[index].entropy,
          temperature: target.divisor)
      }
      target.restore(row, vocabulary: V)
    }
    let dLogits = Rows(rows, count: active.count, width: V)
    let hidden = MutableRows(inputs.pointer, count: active.count, width: C)
    if pass.trainsEverything {
      linearBackwardWeight(
        MutableRows(pass.gradient(pass.packed.headName), count: V, width: C), dY: dLogits, x: Rows(hidden),
        mode: pass.matmul, pool: pass.pool)
    }
    linearBackwardInput(
      hidden, dY: dLogits, weight: Rows(pass.packed.head, count: V, width: C), accumulate: false, mode: pass.matmul,
      pool: pass.pool)
    pass.scatterAdd(dHidden, rows: active.map { targets[$0].row }, inputs.pointer)
  }
}

extension Target {
  /// What the logits are divided by.
  var divisor: Float { temperature > 0 ? temperature : 1 }

  /// Where the token's logit lies in the row that `prepare` leaves.
  func place(vocabulary V: Int) -> Int {
    precondition(token >= 0 && token < V, "target \(token) is outside of the vocabulary of \(V)")
    guard let kept else { return Int(token) }
    var (low, high) = (0, kept.count)
    while low < high {
      let middle = (low + high) / 2
      if kept[middle] < token { low = middle + 1 } else { high = middle }
    }
    precondition(low < kept.count && kept[low] == token, "target \(token) is not among the kept ids of its row")
    return low
  }

  /// Divides the row by the temperature, after moving the kept logits to its front; returns how many there are.
  func prepare(_ row: UnsafeMutablePointer<Float>, vocabulary V: Int) -> Int {
    var count = V
    if let kept {
      count = kept.count
      // Ids ascend, so each moves to the left, onto what has been read.
      for (place, id) in kept.enumerated() { row[place] = row[Int(id)] }
    }
    divideRow(row, count: count, by: divisor)
    return count
  }

  /// Moves the gradients at the front of the row back to the kept ids, and puts 0 everywhere else.
  func restore(_ row: UnsafeMutablePointer<Float>, vocabulary V: Int) {
    guard let kept else { return }
    (row + kept.count).update(repeating: 0, count: V - kept.count)
    for (place, id) in kept.enumerated().reversed() {
      let value = row[place]
      row[place] = 0
      row[Int(id)] = value
    }
  }
}
