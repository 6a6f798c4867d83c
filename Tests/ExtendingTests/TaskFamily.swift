import Rollout

/// When a train arrives, in minutes after midnight.
func clockProblems(count: Int) -> [Problem] {
  (0..<count).map { number in
    let (start, minutes) = (number * 37 % 1440, 15 + number * 53 % 600)
    let text = "A train leaves at minute \(start) and travels \(minutes) minutes. When is it there?"
    return Problem(id: "clock-\(number)", problem: text, gold: "\((start + minutes) % 1440)")
  }
}
