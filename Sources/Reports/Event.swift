/// What a stage reports while it works. The library never prints: whoever starts a stage draws bars, prints or logs
/// these.
public enum Event: Sendable {
  /// Something worth a line.
  case note(String)
  /// Something a person should look at; the work goes on.
  case warning(String)
  /// A pipeline's stage or an ablation's run begins.
  case part(Part)
  case stageStarted(name: String, detail: String)
  case stageEnded(name: String, seconds: Double)
  /// How far the stage has come, in steps or in examples made.
  case steps(Progress)
  /// How far the work inside a step has come.
  case progress(Progress)
  /// Work inside a step that is not counted has begun: "grading".
  case phase(String)
  /// The metrics of a finished training step.
  case step(Metrics)
  /// An evaluation has ended. `step`: the training step whose weights it is about; nil: those of a finished model.
  case evaluated(Evaluation, step: Int?)
}

/// One of several parts of a run, in their order.
public struct Part: Sendable, Equatable {
  public enum Kind: String, Sendable {
    /// A run of an ablation.
    case run
    /// A stage of a pipeline.
    case stage
  }

  public var kind: Kind
  public var name: String
  /// Counted from 1.
  public var number: Int
  public var count: Int

  public init(_ kind: Kind, name: String, number: Int, count: Int) {
    self.kind = kind
    self.name = name
    self.number = number
    self.count = count
  }
}

/// How far a piece of long work has come.
public struct Progress: Sendable, Equatable {
  /// The work, in a word or two: "sampling".
  public var what: String
  public var done: Int
  public var total: Int
  /// What `done` and `total` count: "responses".
  public var unit: String
  /// Tokens a second, where tokens are made or trained on.
  public var rate: Double?

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
