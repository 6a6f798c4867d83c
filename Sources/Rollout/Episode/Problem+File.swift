import Support

extension Problem: DataLine {
  /// The keys of a problem's line.
  package static var keys: [String] { ["id", "problem", "prompt", "source", "gt_answer", "answer"] }
  /// Keys that may stand beside them.
  package static var ignoredKeys: Set<String> { DataKeys.ignoredInProblems }

  /// Reads a file of problems. A problem without `id` gets one from a hash of what is asked, with `-2`, `-3`, ... for
  /// repeats.
  /// - Throws: `MartletError`: io; data with file, line and key for what is malformed, and for an id that comes twice
  ///   (ids key the random draws and name the groups).
  public static func readFile(_ path: String) throws -> [Problem] { try readFileWithLines(path).map(\.problem) }

  /// The same with the line that each problem stands on.
  public static func readFileWithLines(_ path: String) throws -> [(problem: Problem, line: Int)] {
    var problems: [Problem] = []
    var lines: [Int] = []
    try JSONLines.forEach(path, as: Problem.self) { problem, line in
      problems.append(problem)
      lines.append(line)
    }
    var taken: [String: Int] = [:]
    for (problem, line) in zip(problems, lines) where !problem.id.isEmpty {
      if let first = taken.updateValue(line, forKey: problem.id) {
        throw MartletError(
          .data,
          "\(path):\(line): id: \"\(problem.id)\" is also that of line \(first); give each problem its own, or none")
      }
    }
    // How often each hash was met. Counting from 1 for each of a hundred thousand repeats would take minutes.
    var met: [String: Int] = [:]
    for index in problems.indices where problems[index].id.isEmpty {
      let hash = String(sha256Hex(of: problems[index].prompt ?? problems[index].problem).prefix(16))
      var count = met[hash, default: 0] + 1
      var id = count == 1 ? hash : "\(hash)-\(count)"
      while taken[id] != nil {
        count += 1
        id = "\(hash)-\(count)"
      }
      met[hash] = count
      taken[id] = lines[index]
      problems[index].id = id
    }
    return Array(zip(problems, lines)).map { (problem: $0.0, line: $0.1) }
  }
}
