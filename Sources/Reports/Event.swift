/// What a stage reports while it works. The library never prints: its caller draws bars, prints or logs these events.
public enum Event: Sendable {
  /// Something worth a line of output.
  case note(String)
  /// Something that a person should look at. The work continues.
  case warning(String)
  case stageStarted(name: String, detail: String)
  case stageEnded(name: String, seconds: Double)
  case progress(Progress)
  /// The metrics of a finished training step.
  case step(Metrics)
}

/// How far a long piece of work has come.
public struct Progress: Sendable, Equatable {
  /// The work in a word or two: "sampling".
  public var what: String
  /// How many are finished.
  public var done: Int
  /// How many there are.
  public var total: Int
  /// What `done` and `total` count: "responses".
  public var unit: String
  /// Tokens a second, where tokens are sampled or trained on.
  public var rate: Double?

  /// Progress of the work `what`.
  public init(what: String, done: Int, total: Int, unit: String, rate: Double? = nil) {
    self.what = what
    self.done = done
    self.total = total
    self.unit = unit
    self.rate = rate
  }
}

/// Receives events. It may be called from any thread and should return soon.
public typealias EventHandler = @Sendable (Event) -> Void
