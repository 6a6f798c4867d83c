/// How the interpreter's processes are found, limited and confined.
public struct InterpreterSettings: Codable, Sendable, Equatable {
  /// What holds a snippet in (see `docs/sandbox.md`). T3: namespaces, private root, Landlock, seccomp. T2: Landlock and
  /// a strict filter. T1: the filter alone, and no file may be opened.
  public enum Tier: String, Codable, Sendable, CaseIterable { case T3, T2, T1 }

  /// The Python to run; nil: `.venv/bin/python3` near the working directory or the program, then `python3` of `PATH`.
  public var python: String?
  /// Wall-clock seconds a block may take.
  public var timeLimit: Double
  /// Bytes of address space a runner may have (RLIMIT_AS).
  public var memoryBytes: Int
  /// Bytes of output kept: the first half and the last half of them.
  public var outputBytes: Int
  /// Bytes of output after which a block is killed.
  public var outputLimit: Int
  /// Processes and threads a trajectory may have at once.
  public var processLimit: Int
  /// Modules imported once, before the first trajectory; the ones that are missing are reported, not an error.
  public var packages: [String]
  /// Exactly this tier; nil: the best that holds here, T2 at least.
  public var tier: Tier?
  /// More folders that snippets may read.
  public var readableFolders: [String]

  /// The defaults are the configuration's.
  public init(
    python: String? = nil, timeLimit: Double = 5, memoryBytes: Int = 1 << 30, outputBytes: Int = 16_384,
    outputLimit: Int = 65_536, processLimit: Int = 24, packages: [String] = ["numpy", "sympy"], tier: Tier? = nil,
    readableFolders: [String] = []
  ) {
    self.python = python
    self.timeLimit = timeLimit
    self.memoryBytes = memoryBytes
    self.outputBytes = outputBytes
    self.outputLimit = outputLimit
    self.processLimit = processLimit
    self.packages = packages
    self.tier = tier
    self.readableFolders = readableFolders
  }

  enum CodingKeys: String, CodingKey, CaseIterable {
    case python
    case timeLimit = "time_limit"
    case memoryBytes = "memory"
    case outputBytes = "output"
    case outputLimit = "output_limit"
    case processLimit = "processes"
    case packages, tier
    case readableFolders = "readable"
  }

  /// The tiers to try, best first, as the zygote names them. "T3-net": T3 whose network is closed by the filter alone.
  var tiersToTry: [String] {
    switch tier {
    case nil: ["T3", "T3-net", "T2"]
    case .T3: ["T3", "T3-net"]
    case .T2: ["T2"]
    case .T1: ["T1"]
    }
  }
}

/// What one executed block came to.
public struct CallResult: Codable, Sendable, Equatable {
  /// How a block ended, as the model's reward sees it.
  public enum Status: String, Codable, Sendable, CaseIterable {
    case ok, error, timeout, memory, output, crashed, exited, refused
    case sandboxError = "sandbox_error"
  }

  /// How it ended.
  public var status: Status
  /// The finer verdict: ok, exception, time_wall, time_cpu, memory, output, processes, disk, denied, a signal's name,
  /// `exit status N`, or what failed in the sandbox itself.
  public var detail: String
  /// What the model sees: printed text, or the failing line and the error, with a note when a limit ended the block.
  public var output: String
  /// Wall-clock milliseconds the block ran.
  public var ms: Double

  /// A block's result.
  public init(status: Status, detail: String, output: String, ms: Double) {
    self.status = status
    self.detail = detail
    self.output = output
    self.ms = ms
  }

  /// The sandbox's own failure: never to be scored.
  static func sandboxError(_ detail: String) -> CallResult {
    CallResult(
      status: .sandboxError, detail: detail, output: "[the interpreter failed: the code was not judged]\n", ms: 0)
  }
}

/// What the sandbox turned out to be on this machine.
public struct SandboxReport: Codable, Sendable, Equatable {
  /// "T3", "T3-net", "T2" or "T1".
  public var tier: String
  /// The kernel's Landlock version, 0 when absent.
  public var landlock: Int
  /// The interpreter's version and its preloaded modules' versions.
  public var python: String
  /// Versions of the modules that were imported before the first block.
  public var preloaded: [String: String]
  /// Modules of `packages` that could not be imported.
  public var missing: [String]
  /// Why better tiers were passed over.
  public var reasons: [String: String]
  /// Why a fork copies the interpreter's page tables, which makes each block slower; "": it does not.
  public var unshared: String
}
