import Glibc
import Support

/// How the interpreter's processes are found, limited and confined.
public struct InterpreterSettings: Codable, Sendable, Equatable {
  /// What confines a snippet (see `docs/sandbox.md`). T3: namespaces, a private root, Landlock and seccomp. T2:
  /// Landlock and a strict filter. T1: only the filter, and no file may be opened.
  public enum Tier: String, Codable, Sendable, CaseIterable { case T3, T2, T1 }

  /// The Python to run; nil: `.venv/bin/python3` near the working directory or the program, then `python3` of `PATH`.
  public var python: String?
  /// Wall-clock seconds a block may take.
  public var timeLimit: Double
  /// Bytes of address space a runner may have (RLIMIT_AS).
  public var memoryBytes: Int
  /// How many bytes of output are kept: half from the start, half from the end.
  public var outputBytes: Int
  /// Bytes of output after which a block is killed.
  public var outputLimit: Int
  /// Processes and threads a trajectory may have at once.
  public var processLimit: Int
  /// Modules that are imported once, before the first trajectory. Missing ones are reported; they are no error.
  public var packages: [String]
  /// Exactly this tier; nil: the best that works here, at least T2.
  public var tier: Tier?
  /// More folders that snippets may read. They must exist; `/`, `/root`, `/home` and `/tmp` as a whole are refused.
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

  /// The tiers to try, best first, by the zygote's names. "T3-net" is T3 with the network closed only by the filter.
  var tiersToTry: [String] {
    switch tier {
    case nil: ["T3", "T3-net", "T2"]
    case .T3: ["T3", "T3-net"]
    case .T2: ["T2"]
    case .T1: ["T1"]
    }
  }
}

extension InterpreterSettings {
  /// - Throws: `MartletError` (configuration) for a folder that snippets could not be given.
  func checkReadableFolders() throws {
    for folder in readableFolders {
      guard let path = realpath(folder, nil) else {
        throw MartletError(
          .configuration, "interpreter.readable: \(folder): no such folder; correct the path or leave it out")
      }
      defer { free(path) }
      if ["/", "/root", "/home", "/tmp"].contains(String(cString: path)) {
        throw MartletError(
          .configuration,
          "interpreter.readable: \(folder) as a whole is not shown to model code; name the folder below it")
      }
    }
  }
}

/// The result of one executed block.
public struct CallResult: Codable, Sendable, Equatable {
  /// How a block ended.
  public enum Status: String, Codable, Sendable, CaseIterable {
    case ok, error, timeout, memory, output, crashed, exited, refused
    case sandboxError = "sandbox_error"
  }

  /// How it ended.
  public var status: Status
  /// The status in more detail: ok, exception, time_wall, time_cpu, memory, output, processes, disk, denied, a signal's
  /// name, `exit status N`, or what failed in the sandbox itself.
  public var detail: String
  /// The text that the model sees: what was printed, or the failing line and the error, with a note when a limit ended
  /// the block.
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

  /// A failure of the sandbox itself, which is never scored.
  static func sandboxError(_ detail: String) -> CallResult {
    CallResult(
      status: .sandboxError, detail: detail, output: "[the interpreter failed: the code was not judged]\n", ms: 0)
  }
}

/// The sandbox as it works on this machine.
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
  /// Why better tiers do not work, by tier.
  public var reasons: [String: String]
  /// Why a fork has to copy the interpreter's page tables, which makes each block slower; "": it does not.
  public var unshared: String
}
