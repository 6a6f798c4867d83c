// swift-tools-version: 6.2
import PackageDescription

// Every target treats a warning as an error, and all run on every processor of the architecture but for the kernels of
// one instruction set.
let plain: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let avx2: [SwiftSetting] = plain + [.define("MARTLET_AVX2"), .unsafeFlags(["-target-cpu", "haswell"])]
#if arch(x86_64)
  let instructionSets: [Target.Dependency] = ["KernelsAVX2", "KernelsPortable"]
#else
  let instructionSets: [Target.Dependency] = ["KernelsPortable"]
#endif
let warned: [CSetting] = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]

func module(
  _ name: String, _ dependencies: [Target.Dependency], path: String? = nil, resources: [Resource] = []
) -> Target {
  .target(name: name, dependencies: dependencies, path: path, resources: resources, swiftSettings: plain)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], fixtures: Bool = false) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies + ["TestSupport"],
    resources: fixtures ? [.copy("Fixtures")] : [], swiftSettings: plain)
}

// What others can import: the layers, each with what stands below it.
let libraries = [
  "Support", "Tensor", "Tokenization", "Transformer", "Checkpoint", "PPO", "Cluster", "Rollout", "Reports", "Training",
]

let package = Package(
  name: "Martlet",
  products: [.executable(name: "train", targets: ["train"])]
    + libraries.map { .library(name: $0, targets: [$0]) },
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
  ],
  targets: [
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .target(name: "CIntrinsics", cSettings: warned),
    .target(name: "CProcessor", cSettings: warned),
    .target(name: "CSandbox", cSettings: warned),
    .target(name: "CVersion", cSettings: warned),

    // The kernels are one source, compiled once for each instruction set; `Tensor` chooses.
    module("Support", ["Yams", "CIntrinsics", "CVersion"]),
    module("TensorBase", ["Support", "COpenBLAS", "CIntrinsics"]),
    module("KernelsPortable", ["TensorBase", "CIntrinsics"], path: "Sources/Kernels"),
    module("Tensor", ["TensorBase", "COpenBLAS", "CProcessor"] + instructionSets),
    module("Tokenization", ["Support"]),
    module("Transformer", ["Support", "Tokenization", "Tensor"]),
    module("Checkpoint", ["Support", "Tokenization", "Transformer", "Tensor", "CHDF5"]),
    module("PPO", ["Tensor"]),
    module("Cluster", ["Support", "Tensor"]),
    module(
      "Rollout", ["Support", "Tokenization", "Transformer", "Tensor", "CSandbox"], resources: [.copy("Python")]),
    module("Demo", ["Support", "Rollout", "Tensor"]),
    module("Reports", ["Support", "Checkpoint", "PPO", "Rollout", "Tokenization", "Tensor"]),
    module(
      "Training",
      [
        "Support", "Tensor", "Tokenization", "Transformer", "Checkpoint", "PPO", "Cluster", "Rollout", "Demo",
        "Reports",
      ]),
    module(
      "Diagnostics",
      [
        "Support", "Tensor", "Tokenization", "Transformer", "Checkpoint", "PPO", "Cluster", "Rollout", "Reports",
        "Training",
      ]),
    module(
      "Commands",
      [
        "Diagnostics", "Training", "Reports", "Demo", "Rollout", "Cluster", "Checkpoint", "Transformer", "Tokenization",
        "Tensor",
        "Support", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(name: "train", dependencies: ["Commands"], swiftSettings: plain),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: plain),
    tests("Support", ["Support"]),
    tests("Tensor", ["Tensor", "Support", "KernelsPortable"], fixtures: true),
    tests("Tokenization", ["Tokenization", "Support"], fixtures: true),
    tests("Transformer", ["Transformer", "Tensor", "Support"], fixtures: true),
    tests("Checkpoint", ["Checkpoint", "Transformer", "Tokenization", "Tensor", "Support"], fixtures: true),
    tests("PPO", ["PPO"], fixtures: true),
    tests("Cluster", ["Cluster", "Tensor", "Support"]),
    // Ranks for tools/cluster/test, started by mpirun and srun.
    .executableTarget(
      name: "cluster-ranks", dependencies: ["Cluster", "Tensor", "Support"], path: "Tests/ClusterRanks",
      swiftSettings: plain),
    tests("Rollout", ["Rollout", "Demo", "Transformer", "Tokenization", "Tensor", "Support"], fixtures: true),
    tests("Demo", ["Demo", "Rollout", "Tokenization", "Support"]),
    tests("Reports", ["Reports", "Rollout", "PPO", "Support"]),
    tests(
      "Training",
      [
        "Commands", "Diagnostics", "Training", "Reports", "Demo", "Rollout", "Cluster", "PPO", "Checkpoint",
        "Transformer", "Tokenization", "Tensor", "Support",
      ], fixtures: true),
    tests("Extending", ["PPO", "Rollout", "Transformer", "Support"]),
    tests("Diagnostics", ["Diagnostics", "Training", "Tensor", "Support"]),
  ],
  swiftLanguageModes: [.v6]
)

#if arch(x86_64)
  package.targets += [
    // A link to Sources/Kernels.
    .target(name: "KernelsAVX2", dependencies: ["TensorBase", "CIntrinsics"], swiftSettings: avx2)
  ]
#endif

// Only for `make fuzz`: its main function is libFuzzer's.
if Context.environment["MARTLET_FUZZ"] != nil {
  package.targets += [
    .target(name: "CFuzzMain", path: "Fuzz/main"),
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "CFuzzMain", "Training", "Rollout", "Checkpoint", "Transformer", "Tokenization", "Tensor", "Support",
      ],
      path: "Fuzz", exclude: ["main", "corpus"], swiftSettings: plain + [.unsafeFlags(["-parse-as-library"])]),
  ]
}
