/// What a stage reports while it works. The library never prints: its caller draws bars, prints or logs these events.
public enum Event: Sendable {
  /// Something worth a line of output.
  case note(String)
  /// Something that a person should look at. The work continues.
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
  /// What the parts are.
  public enum Kind: String, Sendable {
    /// A run of an ablation.
    case run
    /// A stage of a pipeline.
    case stage
  }

  /// What the part is.
  public var kind: Kind
  /// Its name in the file.
  public var name: String
  /// Counted from 1.
  public var number: Int
  /// How many parts there are.
  public var count: Int

  /// Part `number` of `count`.
  public init(_ kind: Kind, name: String, number: Int, count: Int) {
    self.kind = kind
    self.name = name
    self.number = number
    self.count = count
  }
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
