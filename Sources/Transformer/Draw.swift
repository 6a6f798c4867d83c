import Tensor

/// How a token is drawn from a row of logits.
public struct SamplingSettings: Codable, Sendable, Equatable {
  /// Logits are divided by this; 0 takes the most probable token (greedy).
  public var temperature: Float
  /// Keep the smallest set of most probable tokens whose mass reaches this (nucleus sampling, Holtzman et al. 2020);
  /// 1 keeps all.
  public var topP: Float
  /// Keep this many of the most probable tokens; 0 keeps all.
  public var topK: Int

  /// Plain sampling where nothing is said: temperature 1, no filter.
  public init(temperature: Float = 1, topP: Float = 1, topK: Int = 0) {
    self.temperature = temperature
    self.topP = topP
    self.topK = topK
  }

  enum CodingKeys: String, CodingKey {
    case temperature
    case topP = "top_p"
    case topK = "top_k"
  }

  /// Absent keys keep the neutral values of `init()`.
  public init(from decoder: any Decoder) throws {
    self.init()
    let values = try decoder.container(keyedBy: CodingKeys.self)
    if let given = try values.decodeIfPresent(Float.self, forKey: .temperature) { temperature = given }
    if let given = try values.decodeIfPresent(Float.self, forKey: .topP) { topP = given }
    if let given = try values.decodeIfPresent(Int.self, forKey: .topK) { topK = given }
  }
}

/// A drawn token, its log-prob under the distribution that it was drawn from, and the ids that a filter kept
/// (ascending; nil where none was active or all were kept).
public struct Draw: Sendable, Equatable {
  /// The id.
  public let token: Int32
  /// Natural logarithm of its probability.
  public let logProb: Float
  /// The ids that a filter kept, ascending; nil: all.
  public let kept: [Int32]?

  /// A draw as it was recorded.
  public init(token: Int32, logProb: Float, kept: [Int32]?) {
    self.token = token
    self.logProb = logProb
    self.kept = kept
  }
}

/// Draws one token from a row of logits, which may be overwritten.
///
/// The logits are divided by the temperature, filtered by top-k and then by top-p over what is left, and the inverse of
/// the distribution function in ascending id order is taken at `uniform`. Ties at a filter's edge go to the lower id.
///
/// Weights are exp(x - maximum) in fp32. They are summed in double precision, block by block of 256 ids in order (a
/// block's own sum has 16 fp32 lanes and the fixed tree), and the token is found by a chain through its block: so the
/// result is a function of the logits and `uniform` alone, on every machine.
///
/// - Parameter uniform: in [0, 1); not read when greedy.
/// - Returns: `logProb` has the bits of `TrainingPass.score` for the same temperature and kept ids; a greedy draw's is
///   that at temperature 1, unfiltered. Where a logit is NaN or +infinity, the log-prob is NaN and the token is
///   meaningless.
public func draw(
  _ logits: UnsafeMutablePointer<Float>, count: Int, settings: SamplingSettings, uniform: Double
) -> Draw {
  precondition(count > 0, "draw: no logits")
  guard settings.temperature > 0 else { return drawGreedy(logits, count: count) }
  divideRow(logits, count: count, by: settings.temperature)
  let filtered = (settings.topK > 0 && settings.topK < count) || settings.topP < 1
  guard filtered, rowMaximum(logits, count: count).isFinite else {
    let (index, logProb) = drawInOrder(logits, count: count, uniform: uniform)
    return Draw(token: Int32(index), logProb: logProb, kept: nil)
  }
  var kept = settings.topK > 0 && settings.topK < count ? mostProbable(logits, count: count, keep: settings.topK) : nil
  if settings.topP < 1 { kept = nucleus(logits, count: count, among: kept, mass: Double(settings.topP)) }
  guard let kept, kept.count < count else {
    let (index, logProb) = drawInOrder(logits, count: count, uniform: uniform)
    return Draw(token: Int32(index), logProb: logProb, kept: nil)
  }
  // Ids ascend, so the kept logits move to the left, onto what has been read.
  for (place, id) in kept.enumerated() { logits[place] = logits[Int(id)] }
  let (index, logProb) = drawInOrder(logits, count: kept.count, uniform: uniform)
  return Draw(token: kept[index], logProb: logProb, kept: kept)
}

private func drawGreedy(_ logits: UnsafeMutablePointer<Float>, count: Int) -> Draw {
  let (maximum, logSum) = logSumExp(logits, count: count)
  var best = 0
  while best < count - 1, logits[best] != maximum { best += 1 }
  return Draw(token: Int32(best), logProb: (logits[best] - maximum) - logSum, kept: nil)
}

/// The inverse distribution function of the whole row at `uniform`, and the log-prob of what it gives.
private func drawInOrder(
  _ x: UnsafeMutablePointer<Float>, count: Int, uniform: Double
) -> (index: Int, logProb: Float) {
  let block = exponentialBlock
  let blocks = (count + block - 1) / block
  return withUnsafeTemporaryAllocation(of: Float.self, capacity: blocks) { sums in
    let (maximum, logSum) = logSumExp(x, count: count, blockSums: sums.baseAddress)
    guard maximum.isFinite, logSum.isFinite else { return (0, .nan) }
    let total = sums.reduce(0.0) { $0 + Double($1) }
    let threshold = uniform * total
    var reached = 0.0
    var number = 0
    while number < blocks - 1, reached + Double(sums[number]) <= threshold {
      reached += Double(sums[number])
      number += 1
    }
    // Rounding may leave the last block with nothing in it.
    while number > 0, sums[number] == 0 { number -= 1 }
    var last = -1
    for index in number * block..<min(count, (number + 1) * block) {
      let weight = exactExp(x[index] - maximum)
      if weight == 0 { continue }
      last = index
      reached += Double(weight)
      if reached > threshold { break }
    }
    return (last, (x[last] - maximum) - logSum)
  }
}

/// A logit and its id; the more probable first, then the lower id.
private struct Candidate {
  let logit: Float
  let id: Int32
  static func isBefore(_ a: Candidate, _ b: Candidate) -> Bool {
    a.logit > b.logit || (a.logit == b.logit && a.id < b.id)
  }
}

/// The `keep` most probable ids, ascending.
private func mostProbable(_ x: UnsafePointer<Float>, count: Int, keep: Int) -> [Int32] {
  // A heap of the best so far, the least of them on top: most logits are refused by one comparison.
  var heap: [Candidate] = []
  heap.reserveCapacity(keep)
  func sink(_ start: Int) {
    var parent = start
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
        if Candidate.isBefore(heap[least], heap[child]) { least = child }
      }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
  for id in 0..<count {
    let candidate = Candidate(logit: x[id], id: Int32(id))
    if heap.count < keep {
      heap.append(candidate)
      if heap.count == keep {
        for parent in stride(from: keep / 2 - 1, through: 0, by: -1) { sink(parent) }
      }
    } else if x[id] > heap[0].logit {  // an equal one has a higher id than all there
      heap[0] = candidate
      sink(0)
    }
  }
  return heap.map(\.id).sorted()
}

/// The smallest set of most probable ids, at least one, whose share of the mass of `among` (nil: of all) reaches
/// `mass`; ascending.
private func nucleus(_ x: UnsafePointer<Float>, count: Int, among: [Int32]?, mass: Double) -> [Int32] {
  let maximum =
    among.map { ids in ids.reduce(-Float.infinity) { max($0, x[Int($1)]) } } ?? rowMaximum(x, count: count)
  // Candidates by how far they lie below the maximum, an eighth of a nat a bucket: only the bucket in which the mass is
  // reached has to be sorted.
  let buckets = 720  // beyond 88 nats the weight is 0
  let perNat: Float = 8
  func bucket(_ logit: Float) -> Int { min(buckets - 1, Int((maximum - logit) * perNat)) }
  func forEach(_ body: (Int) -> Void) {
    if let among {
      for id in among { body(Int(id)) }
    } else {
      for id in 0..<count { body(id) }
    }
  }
  var masses = [Double](repeating: 0, count: buckets)
  let lowest = maximum - Float(buckets - 1) / perNat
  if let among {
    for id in among where x[Int(id)] > lowest { masses[bucket(x[Int(id)])] += Double(exactExp(x[Int(id)] - maximum)) }
  } else {
    forEachExponential(x, count: count, maximum: maximum) { logit, weight in
      if logit > lowest { masses[bucket(logit)] += Double(weight) }
    }
  }
  let goal = mass * masses.reduce(0, +)
  var reached = 0.0
  var edge = 0
  while edge < buckets - 1, reached + masses[edge] < goal {
    reached += masses[edge]
    edge += 1
  }
  var kept: [Int32] = []
  var ties: [Candidate] = []
  forEach { id in
    guard x[id] > lowest else { return }
    let place = bucket(x[id])
    if place < edge {
      kept.append(Int32(id))
    } else if place == edge {
      ties.append(Candidate(logit: x[id], id: Int32(id)))
    }
  }
  ties.sort(by: Candidate.isBefore)
  for candidate in ties where reached < goal || kept.isEmpty {
    kept.append(candidate.id)
    reached += Double(exactExp(candidate.logit - maximum))
  }
  return kept.sorted()
}

/// Calls `body` with each logit x of a row and exp(x - maximum), in order.
private func forEachExponential(
  _ x: UnsafePointer<Float>, count: Int, maximum: Float, _ body: (_ logit: Float, _ weight: Float) -> Void
) {
  let block = 256
  withUnsafeTemporaryAllocation(of: Float.self, capacity: block) { weights in
    for start in stride(from: 0, to: count, by: block) {
      let size = min(block, count - start)
      exponentials(weights.baseAddress!, x + start, count: size, maximum: maximum)
      for place in 0..<size { body(x[start + place], weights[place]) }
    }
  }
}
