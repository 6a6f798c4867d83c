import Support
import Testing

@testable import Cluster

@Suite struct LaunchTests {
  @Test(
    arguments: [
      ([:], nil),
      (["OMPI_COMM_WORLD_SIZE": "4"], Launch(size: 4, variable: "OMPI_COMM_WORLD_SIZE")),
      (["PMI_SIZE": "2", "PMIX_RANK": "0"], Launch(size: 2, variable: "PMI_SIZE")),
      (["PMIX_RANK": "1"], Launch(size: nil, variable: "PMIX_RANK")),
      // In a batch script, beside srun.
      (["SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"], nil),
      (
        ["SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"],
        Launch(size: 4, variable: "SLURM_STEP_NUM_TASKS")
      ),
      // mpirun starts its helpers with srun, and they the ranks.
      (
        ["SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "3", "OMPI_COMM_WORLD_SIZE": "4"],
        Launch(size: 4, variable: "OMPI_COMM_WORLD_SIZE")
      ),
    ] as [([String: String], Launch?)])
  func detected(environment: [String: String], launch: Launch?) throws {
    #expect(try Launch.detect(environment) == launch)
  }

  @Test func aSizeThatIsNoNumber() {
    #expect(throws: MartletError.self) { try Launch.detect(["PMI_SIZE": "many"]) }
  }

  @Test func aloneNeedsNoPlugin() throws {
    #expect(try Launch.communicator(environment: [:]) == nil)
    #expect(try Launch.communicator(environment: ["OMPI_COMM_WORLD_SIZE": "1"]) == nil)
  }

  @Test func withoutThePluginSeveralAreRefused() {
    let launch = Launch(size: 4, variable: "SLURM_STEP_NUM_TASKS")
    let error = launch.unusable("libMartletMPI.so was not found beside the program")
    #expect(error.status == .configuration)
    #expect(error.message.contains("started 4 processes") && error.message.contains("make mpi"))
    let mismatch = launch.mismatch(1)
    #expect(mismatch.status == .configuration)
    #expect(mismatch.message.contains("is 4, but MPI says that there is 1 rank"))
    #expect(mismatch.message.contains("--mpi=pmix"))
  }

  /// Each of several processes would do the whole run, so a command for one process ends.
  @Test func severalProcessesAreRefused() throws {
    try Launch.requireSingle([:])
    try Launch.requireSingle(["OMPI_COMM_WORLD_SIZE": "1"])
    let error = #expect(throws: MartletError.self) { try Launch.requireSingle(["OMPI_COMM_WORLD_SIZE": "2"]) }
    #expect(error?.status == .configuration && error?.message.contains("started 2 processes") == true)
  }
}
