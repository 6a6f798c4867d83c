import Checkpoint
import Foundation
import Rollout
import Support

/// What a stage has sampled so far, on disk. A run that was ended in any way samples none of it again.
final class EpisodeJournal {
  /// Which trajectory of the run, and a hash of what it depends on: other weights, another prompt, hint, setting or
  /// interpreter make another trajectory, whatever the files are called.
  struct Key: Codable, Hashable {
    var step: Int
    var id: String
    var sample: Int
    var start: String

    init(_ request: SampleRequest, _ settings: SamplerSettings, model: String, means: String) {
      step = Int(settings.step)
      id = request.problem.id
      sample = request.sample
      var hash = SHA256()
      for part in ["\(settings)", model, means, request.problem.gold] {
        hash.update(part.utf8)
        hash.update(CollectionOfOne<UInt8>(0))
      }
      for token in request.promptTokens + (request.prefix?.tokens ?? []) {
        hash.update(withUnsafeBytes(of: token.littleEndian) { Array($0) })
      }
      start = String(hash.hexDigest().prefix(16))
    }
  }

  /// A call that came back, an episode that is finished, or what the user's programs said of it.
  private struct Record: Codable {
    var of: Key
    var call: Episode.Call?
    var episode: Episode?
    var judgement: Judgement?
  }

  /// What is lost when the process is killed while it samples.
  static let costOfKill = "finished responses are saved at once: a kill costs only the unfinished ones"

  private let place: String
  private let name: String
  /// The identity of the model that samples, without the weights that are trained.
  private let model: String
  /// The identity of the trained weights; to be set whenever they change.
  var weights = ""
  /// The file that is appended to. Each step has a file, which is removed once a later checkpoint is whole.
  private var current: (step: Int, journal: Journal)?
  private var finished: [Key: Episode] = [:]
  /// The calls of unfinished episodes, in order.
  private var executed: [Key: [Episode.Call]] = [:]
  private var judgements: [Key: Judgement] = [:]

  /// Opens the files `journal/<name>-<step>.log`. With `resume` their records count, else the files are removed.
  /// - Parameter model: as ``LoadedModel/identity(trained:pool:)`` gives it.
  /// - Throws: `MartletError` (io).
  init(_ folder: RunFolder, name: String = "episodes", model: String, resume: Bool) throws {
    place = try folder.journalFolder()
    self.name = name
    self.model = model
    guard resume else {
      forget(before: .max)
      return
    }
    for step in steps() {
      let journal = try Journal(path: path(step))
      defer { journal.close() }
      for bytes in journal.records {
        guard let record = try? JSONDecoder().decode(Record.self, from: bytes) else { continue }
        if let episode = record.episode { finished[record.of] = episode }
        if let call = record.call { executed[record.of, default: []].append(call) }
        if let judgement = record.judgement { judgements[record.of] = judgement }
      }
    }
  }

  private func path(_ step: Int) -> String { "\(place)/\(name)-\(step).log" }

  /// The steps that have a file, in order.
  private func steps() -> [Int] {
    RunFolder.contents(place).compactMap { file in
      guard file.hasPrefix(name + "-"), file.hasSuffix(".log") else { return nil }
      return Int(file.dropFirst(name.count + 1).dropLast(4))
    }.sorted()
  }

  private func journal(step: Int) throws -> Journal {
    if let current, current.step == step { return current.journal }
    current?.journal.close()
    current = nil
    let opened = try Journal(path: path(step))
    current = (step, opened)
    return opened
  }

  /// Samples and judges the requests that have no judged episode yet.
  /// - Returns: judged episodes in the order of the requests.
  /// - Throws: what ``RolloutEngine/run(_:step:what:onEpisode:onCall:onToken:)`` does, and io.
  func run(_ requests: [SampleRequest], step: Int, what: String, engine: RolloutEngine) throws -> [Episode] {
    let journal = try journal(step: step)
    let (settings, means) = (engine.settings(step: step), engine.means)
    let keys = requests.map { Key($0, settings, model: model + weights, means: means) }
    var episodes = keys.map { finished[$0] }
    let open = requests.indices.filter { episodes[$0] == nil }
    var failure: (any Error)?
    func append(_ record: Record) {
      do { try journal.append(JSONEncoder().encode(record)) } catch { failure = failure ?? error }
    }
    let fresh = try engine.sampled(
      open.map { place in
        var request = requests[place]
        request.recordedCalls = executed[keys[place]] ?? []
        return request
      }, step: step, what: what, onEpisode: { append(Record(of: keys[open[$0]], episode: $1)) },
      onCall: { place, call in
        // A failure of the sandbox says nothing about the code.
        if call.status != .sandboxError { append(Record(of: keys[open[place]], call: call)) }
      })
    if let failure { throw failure }
    try journal.sync()
    for (place, episode) in zip(open, fresh) { episodes[place] = episode }
    let judged = try engine.judged(episodes.compactMap(\.self), known: keys.map { judgements[$0] }) {
      append(Record(of: keys[$0], judgement: $1))
    }
    if let failure { throw failure }
    try journal.sync()
    return judged
  }

  /// Forgets the steps before `step`. Call it when a checkpoint has made them safe.
  func forget(before step: Int) {
    for old in steps() where old < step { unlink(path(old)) }
    finished = finished.filter { $0.key.step >= step }
    executed = executed.filter { $0.key.step >= step }
    judgements = judgements.filter { $0.key.step >= step }
  }

  /// Ends the journal and removes its files.
  func remove() {
    current?.journal.close()
    current = nil
    forget(before: .max)
  }
}
