import Foundation
import Support

/// How this process was started: alone, or by a launcher as one of several.
public struct Launch: Sendable, Equatable {
  /// How many processes the launcher started; nil: it does not say, but there may be several.
  public var size: Int?
  /// The variable that says so.
  public var variable: String

  /// By several launchers' variables; the first that is there counts, since `mpirun` itself may run below `srun`.
  ///
  /// Slurm sets SLURM_NTASKS for everything in a job, and SLURM_STEP_NUM_TASKS for what `srun` starts. A program that a
  /// batch script calls without `srun` is alone.
  /// - Returns: nil when no launcher started this process.
  /// - Throws: `MartletError` (configuration) for a size that is no number.
  public static func detect(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Launch? {
    let isStep = environment["SLURM_STEP_ID"] != nil
    let sizes = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"] + (isStep ? ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"] : [])
    for name in sizes {
      guard let text = environment[name] else { continue }
      guard let size = Int(text), size >= 1 else {
        throw MartletError(.configuration, "\(name): '\(text)' is no number of ranks; start with mpirun or srun")
      }
      return Launch(size: size, variable: name)
    }
    return environment["PMIX_RANK"] == nil ? nil : Launch(size: nil, variable: "PMIX_RANK")
  }

  /// The communicator of this process, joined and started; nil when it is alone. Nothing of MPI is loaded then.
  /// - Throws: `MartletError` (configuration) when there are several processes and no way between them.
  public static func communicator(
    settings: WireSettings = WireSettings(),
    environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> Communicator? {
    guard let launch = try detect(environment), launch.size != 1 else { return nil }
    let communicator = Communicator(try MPIWire(launch: launch), settings: settings)
    try communicator.start()
    guard launch.size == nil || launch.size == communicator.size else {
      throw launch.mismatch(communicator.size)
    }
    // Alone, but told by MPI only.
    if communicator.size == 1 {
      try communicator.finish()
      return nil
    }
    return communicator
  }

  /// For a command that runs in one process: several would each do the whole run.
  /// - Throws: `MartletError` (configuration) when a launcher started several processes.
  public static func requireSingle(
    _ environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws {
    guard let launch = try detect(environment), let size = launch.size, size > 1 else { return }
    throw MartletError(
      .configuration,
      "\(launch.variable): the launcher started \(size) processes, but this command runs in one and does not share its "
        + "work yet; start it alone (ranks plays several ranks), or share an ablation's runs with train ablate")
  }

  /// Several processes that know nothing of one another would each do the whole run.
  func mismatch(_ size: Int) -> MartletError {
    MartletError(
      .configuration,
      "\(variable) is \(self.size ?? 0), but MPI says that there \(size == 1 ? "is 1 rank" : "are \(size) ranks"): the "
        + "launcher and the MPI of libMartletMPI.so do not fit; under Slurm use srun --mpi=pmix (srun --mpi=list names "
        + "others), else the mpirun of the same MPI, and build the plug-in with its mpicc: make mpi")
  }

  /// The error when the plug-in cannot be used.
  func unusable(_ why: String) -> MartletError {
    let count = size.map { "\($0) processes" } ?? "several processes"
    return MartletError(
      .configuration,
      "\(variable): the launcher started \(count), but \(why); build the plug-in with `make mpi` (MPICC=... names a "
        + "cluster's own compiler), or start one process and set `ranks`")
  }
}
