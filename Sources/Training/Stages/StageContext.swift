import Foundation
import Reports
import Rollout
import Synchronization
import Tensor

/// What all stages of one process share: threads, the receiver of events, and whether somebody asked to stop.
public final class StageContext: @unchecked Sendable {
  /// The worker threads.
  public let pool: WorkerPool
  /// Where progress, notes and warnings go.
  public let onEvent: EventHandler
  /// Whether a run goes on in a folder that is not empty.
  public let resume: Bool
  /// Whether a run that was begun with another configuration is made anew instead of refused.
  let anew: Bool
  /// The folder of the stage's pipeline; nil: none. Paths inside it are written relative to the stage's folder.
  let root: String?
  /// Times the parts of training and sampling; nil: nothing is timed.
  public let timer: PartTimer?
  private let cancelled: @Sendable () -> Bool
  private let hosts: Hosts

  /// The interpreters that were started, shared by all copies of one context.
  private final class Hosts: Sendable {
    let known = Mutex<[(settings: InterpreterSettings, host: InterpreterHost)]>([])
  }

  /// - Parameters:
  ///   - threads: worker threads; nil: the physical cores.
  ///   - resume: whether a run goes on in a folder that is not empty.
  ///   - timer: times the parts of each step. The times go into the step's metrics as `profile_...`, in seconds.
  ///   - isCancelled: asked between steps, and between tokens while sampling.
  public init(
    threads: Int? = nil, resume: Bool = false, anew: Bool = false, timer: PartTimer? = nil,
    isCancelled: @escaping @Sendable () -> Bool = { false },
    onEvent: @escaping EventHandler = { _ in }
  ) {
    pool = threads.map { WorkerPool(threadCount: $0) } ?? WorkerPool()
    self.resume = resume
    self.anew = anew
    root = nil
    self.timer = timer
    cancelled = isCancelled
    self.onEvent = onEvent
    hosts = Hosts()
  }

  private init(_ other: StageContext, resume: Bool, root: String? = nil, onEvent: EventHandler? = nil) {
    self.root = root ?? other.root
    anew = other.anew
    pool = other.pool
    self.onEvent = onEvent ?? other.onEvent
    timer = other.timer
    cancelled = other.cancelled
    hosts = other.hosts
    self.resume = resume
  }

  /// This context with another `resume`, and for the stages of a pipeline with its folder.
  func with(resume: Bool, root: String? = nil) -> StageContext {
    StageContext(self, resume: resume, root: root)
  }

  /// This context with events going to `onEvent`.
  func listening(_ onEvent: @escaping EventHandler) -> StageContext {
    StageContext(self, resume: resume, onEvent: onEvent)
  }

  /// Whether somebody asked to stop.
  public var isCancelled: Bool { cancelled() }

  /// Throws `Interrupted` when somebody asked to stop.
  func checkCancelled() throws { if isCancelled { throw Interrupted() } }

  /// The interpreter with these settings. It is started on first use and kept.
  public func interpreter(_ settings: InterpreterSettings) throws -> InterpreterHost {
    try hosts.known.withLock { hosts in
      if let known = hosts.first(where: { $0.settings == settings }) { return known.host }
      let host = try InterpreterHost(settings: settings)
      hosts.append((settings, host))
      return host
    }
  }
}

/// Somebody asked to stop. Everything that could be saved is saved.
public struct Interrupted: Error, Sendable {
  /// Thrown once everything is saved.
  public init() {}
}
