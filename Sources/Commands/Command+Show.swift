import ArgumentParser
import Rollout
import Support
import Tokenization

/// Whether to write colours.
enum ColourChoice: String, CaseIterable, ExpressibleByArgument { case auto, always, never }

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Print episodes: prompt, text, code, outputs, hints and verdict.",
    discussion: """
      train show demo/hint-rl
      train show demo/hint-rl --wrong
      train show episodes.jsonl 17
      train show demo/hint-rl --limit 0 --color always | less -R
      """)
  @Argument(help: "A file of episodes, or a run: its folder or its name.") var episodes: InputPath
  @Argument(help: "A problem's id, or a line of the file.") var which: String?
  @Flag(help: "Only episodes whose answer is wrong.") var wrong = false
  @Option(help: "How many to print; 0 for all.") var limit = 1
  @Option(help: "Whether to colour the text.") var color: ColourChoice = .auto
  @Option(help: "The model that wrote the episodes; that of their run if not given.") var model: InputPath?

  /// Ends the reading of a file early.
  private struct Enough: Error {}

  func validate() throws { if limit < 0 { throw ValidationError("--limit must be 0 or more.") } }

  func run() throws {
    let path = try episodes.episodes()
    let tokenizer = try Tokenizer.of(episodes: path, model: model)
    let isColoured = color == .auto ? Terminal.output.hasColour : color == .always
    var shown = 0
    var isMore = false
    do {
      try JSONLines.forEach(path, as: Episode.self) { episode, line in
        guard isMeant(episode, line) else { return }
        if limit > 0, shown == limit {
          isMore = true
          throw Enough()
        }
        let place = "\(path):\(line)"
        if let defect = episode.defect(logProbs: false) {
          throw MartletError(.data, "\(place): episode \(episode.id): \(defect)")
        }
        try tokenizer.check(episode, place: place)
        let text = EpisodeText(episode: episode, tokenizer: tokenizer, isColoured: isColoured).text
        let title = "\(place)  id \(episode.id.printable), sample \(episode.sample)"
        shown += 1
        guard Console.stream((shown > 1 ? "\n" : "") + title + "\n" + text) else { throw Enough() }
      }
    } catch is Enough {}
    guard shown > 0 else { throw MartletError(.data, "\(path): has no episode \(missing); give another") }
    if isMore { Console.note("there are more; --limit 0 shows all") }
  }

  private func isMeant(_ episode: Episode, _ line: Int) -> Bool {
    if wrong, episode.verdict == nil || episode.verdict == .correct { return false }
    return which.map { $0 == episode.id || $0 == String(line) } ?? true
  }

  private var missing: String {
    [which, wrong ? "with a wrong answer" : nil].compactMap(\.self).joined(separator: " ")
  }
}
