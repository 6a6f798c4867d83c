import PPO
import Rollout
import Support

/// Which libraries a model finds and uses: no prompt need name them.
extension Evaluation {
  /// The libraries that executed code imports, sorted by name.
  package var libraries: [String] {
    Set(problems.flatMap(\.episodes).flatMap { Self.imports(of: $0) }).sorted()
  }

  /// The share of responses whose executed code imports a library.
  public func ratio(ofLibrary name: String) -> ProblemRatio {
    ProblemRatio(
      numerators: problems.map { Double($0.episodes.count { Self.imports(of: $0).contains(name) }) },
      denominators: problems.map { Double($0.episodes.count) })
  }

  /// The shares on a line, the largest first: `rdkit 12.5 % [6.0, 19.1], math 3.0 % [...]`; nil: nothing is imported.
  package var libraryLine: String? {
    func percent(_ value: Double) -> String { decimals(100 * value, 1) }
    let shares = libraries.map { name in (name, ratio(ofLibrary: name)) }
      .sorted { ($1.1.value ?? 0, $0.0) < ($0.1.value ?? 0, $1.0) }
    guard !shares.isEmpty else { return nil }
    return shares.prefix(8).map { name, ratio in
      let interval = ProblemBootstrap().interval(ratio).map { " [\(percent($0.low)), \(percent($0.high))]" }
      return "\(name) \(percent(ratio.value ?? 0)) %" + (interval ?? "")
    }.joined(separator: ", ")
  }

  /// The keys `libraries` and `library_share...` of `eval.json`.
  func libraryReport() -> [String: Any] {
    var (counts, shares, low, high) = ([String: Int](), [String: Double](), [String: Double](), [String: Double]())
    for name in libraries {
      let ratio = ratio(ofLibrary: name)
      counts[name] = Int(ratio.numerators.reduce(0, +))
      shares[name] = ratio.value
      let interval = ProblemBootstrap().interval(ratio)
      (low[name], high[name]) = (interval?.low, interval?.high)
    }
    return ["libraries": counts, "library_share": shares, "library_share_low": low, "library_share_high": high]
  }

  private static func imports(of episode: Episode) -> Set<String> {
    Set(episode.calls.flatMap { $0.code.split(separator: "\n").flatMap(imports) })
  }

  /// The packages that are imported by `import a.b, c as d` and `from a.b import c`.
  static func imports(_ line: Substring) -> [String] {
    let words = line.split(separator: " ", maxSplits: 1)
    guard words.count == 2 else { return [] }
    let names: [Substring]
    switch words[0] {
    case "from": names = [words[1]]
    case "import": names = words[1].split(separator: ",")
    default: return []
    }
    return names.compactMap { $0.split(whereSeparator: { " .\t\r;".contains($0) }).first.map(String.init) }
  }
}
