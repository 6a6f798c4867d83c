import Tensor

/// Unbiased pass@k: 1 - C(n - c, k) / C(n, k), the chance that k of the n samples hold a right one (Chen et al. 2021,
/// eq. 1).
public func passAtK(samples n: Int, correct c: Int, k: Int) -> Double {
  precondition(k >= 1 && k <= n && c >= 0 && c <= n, "pass@\(k) of \(c) right among \(n)")
  if n - c < k { return 1 }
  var none = 1.0
  for j in stride(from: n - c + 1, through: n, by: 1) { none *= 1 - Double(k) / Double(j) }
  return 1 - none
}

/// avg@k: share of right ones among the first k samples.
public func averageAtK(_ correct: [Bool], k: Int) -> Double {
  precondition(k >= 1 && k <= correct.count, "avg@\(k) of \(correct.count) samples")
  return Double(correct.prefix(k).count { $0 }) / Double(k)
}

/// maj@k: the chance that the commonest answer among k of the n samples, drawn without replacement, is right. Answers
/// that tie share the vote. Samples without an answer count towards k but do not vote; where nobody votes the verdict
/// is wrong.
///
/// Up to `exactLimit` samples it is the exact expectation over all subsets, counted by size of the largest class;
/// above, the mean over 4,096 subsets drawn with a fixed key.
///
/// - Parameters:
///   - answers: a number for each sample's class of equal answers, nil without an answer.
///   - correct: verdict of each sample; a class has the verdict of its first member.
public func majorityAtK(answers: [Int?], correct: [Bool], k: Int, exactLimit: Int = 128) -> Double {
  precondition(answers.count == correct.count, "\(answers.count) answers, \(correct.count) verdicts")
  precondition(k >= 1 && k <= answers.count, "maj@\(k) of \(answers.count) samples")
  var place: [Int: Int] = [:]
  var classes: [(size: Int, correct: Bool)] = []
  var members: [Int] = []  // class of each voting sample, -1 for the others
  for (answer, right) in zip(answers, correct) {
    guard let answer else {
      members.append(-1)
      continue
    }
    if let c = place[answer] {
      classes[c].size += 1
    } else {
      place[answer] = classes.count
      classes.append((1, right))
    }
    members.append(place[answer]!)
  }
  if answers.count > exactLimit { return sampledMajority(members, classes.map(\.correct), k: k) }
  return exactMajority(classes, silent: members.count { $0 < 0 }, k: k)
}

/// Counts subsets by (samples used, classes at the top, right classes at the top) for each size `top` of the largest
/// class.
private func exactMajority(_ classes: [(size: Int, correct: Bool)], silent: Int, k: Int) -> Double {
  var share = 0.0
  var subsets = 1.0
  for j in 0..<k { subsets = subsets * Double(silent + classes.reduce(0) { $0 + $1.size } - j) / Double(j + 1) }
  for top in stride(from: 1, through: min(k, classes.map(\.size).max() ?? 0), by: 1) {
    let width = min(k / top, classes.count { $0.size >= top }) + 1  // ties run 0..<width
    func index(_ used: Int, _ ties: Int, _ right: Int) -> Int { (used * width + ties) * width + right }
    var ways = [Double](repeating: 0, count: (k + 1) * width * width)
    ways[index(0, 0, 0)] = 1
    func extend(by size: Int, limit: Int, correct: Bool, votes: Bool) {
      var next = [Double](repeating: 0, count: ways.count)
      var choices = 1.0
      for j in 0...min(size, limit) {
        let tie = votes && j == top ? 1 : 0
        let right = tie == 1 && correct ? 1 : 0
        for used in stride(from: 0, through: k - j, by: 1) {
          for ties in 0..<(width - tie) {
            for r in 0...ties {
              let count = ways[index(used, ties, r)]
              if count != 0 { next[index(used + j, ties + tie, r + right)] += count * choices }
            }
          }
        }
        choices = choices * Double(size - j) / Double(j + 1)
      }
      ways = next
    }
    for c in classes { extend(by: c.size, limit: min(top, k), correct: c.correct, votes: true) }
    extend(by: silent, limit: k, correct: false, votes: false)
    for ties in stride(from: 1, to: width, by: 1) {
      for r in 0...ties { share += ways[index(k, ties, r)] * Double(r) / Double(ties) }
    }
  }
  return share / subsets
}

private func sampledMajority(_ members: [Int], _ correct: [Bool], k: Int) -> Double {
  let draws = 4096
  var sum = 0.0
  for draw in 0..<draws {
    var random = CounterRandom(seed: 0, path: [0x6d61_6a6b, UInt64(draw)])
    var order = Array(members.indices)
    var votes = [Int](repeating: 0, count: correct.count)
    for j in 0..<k {
      let other = j + Int(random.next().multipliedFullWidth(by: UInt64(order.count - j)).high)
      order.swapAt(j, other)
      if members[order[j]] >= 0 { votes[members[order[j]]] += 1 }
    }
    guard let top = votes.max(), top > 0 else { continue }
    let winners = votes.indices.filter { votes[$0] == top }
    sum += Double(winners.count { correct[$0] }) / Double(winners.count)
  }
  return sum / Double(draws)
}
