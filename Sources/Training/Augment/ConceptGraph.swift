import Demo
import Rollout
import Support
import Tensor

/// Concepts and how often two of them belong to one problem (MathScale, arXiv:2403.02884, section 3.2).
struct ConceptGraph {
  /// In the order of their first appearance.
  private(set) var concepts: [String] = []
  private var number: [String: Int] = [:]
  /// How often two concepts stand together, by the numbers of both.
  private var counts: [[Int: Int]] = []

  /// - Parameter lists: the concepts of each problem.
  init(_ lists: [[String]]) {
    for list in lists {
      var numbers: [Int] = []
      for concept in list where !numbers.contains(where: { concepts[$0] == concept }) {
        if number[concept] == nil {
          number[concept] = concepts.count
          concepts.append(concept)
          counts.append([:])
        }
        numbers.append(number[concept] ?? 0)
      }
      for a in numbers { for b in numbers where a != b { counts[a][b, default: 0] += 1 } }
    }
  }

  /// Concepts of a new problem: a walk from a drawn concept. A step to a neighbour is the likelier the more often both
  /// stand together: its weight is log(1 + count).
  func walk(_ random: inout CounterRandom, steps: Int) -> [String] {
    guard !concepts.isEmpty else { return [] }
    var path = [random.integer(0...(concepts.count - 1))]
    while path.count < steps, let last = path.last {
      let next = counts[last].filter { !path.contains($0.key) }.sorted { $0.key < $1.key }
      guard !next.isEmpty else { break }
      path.append(Self.draw(next.map { ($0.key, Mathematics.log(1 + Double($0.value))) }, &random))
    }
    return path.map { concepts[$0] }
  }

  private static func draw(_ weighted: [(item: Int, weight: Double)], _ random: inout CounterRandom) -> Int {
    var rest = random.uniform() * weighted.reduce(0) { $0 + $1.weight }
    for (item, weight) in weighted {
      rest -= weight
      if rest < 0 { return item }
    }
    return weighted[weighted.count - 1].item
  }

  /// The concepts that a response lists: its lines without list marks, in lower case, at most eight.
  static func concepts(in response: String) -> [String] {
    let lines = response.split(whereSeparator: \.isNewline).filter { $0.last != ":" }.map { line in
      var line = line[...]
      while let first = line.first, !first.isLetter { line.removeFirst() }
      while let last = line.last, !last.isLetter && !last.isNumber && last != ")" { line.removeLast() }
      return line.lowercased()
    }
    return Array(lines.filter { (3...80).contains($0.count) }.prefix(8))
  }
}
