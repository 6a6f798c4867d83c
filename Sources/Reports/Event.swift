/// What a stage reports while it works. The library never prints: whoever starts a stage draws bars, prints or logs
/// these.
public enum Event: Sendable {
  /// Something worth a line.
  case note(String)
  /// Something a person should look at; the work goes on.
  case warning(String)
  case stageStarted(name: String, detail: String)
  case stageEnded(name: String, seconds: Double)
  case progress(Progress)
  /// The metrics of a finished training step.
  case step(Metrics)
}

/// How far a piece of long work has come.
public struct Progress: Sendable, Equatable {
  /// The work, in a word or two: "sampling".
  public var what: String
  /// How many are finished.
  public var done: Int
  /// How many there are.
  public var total: Int
  /// What `done` and `total` count: "responses".
  public var unit: String
  /// Tokens a second, where tokens are made or trained on.
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

/// Receives events, from any thread; it should return soon.
public typealias EventHandler = @Sendable (Event) -> Void
