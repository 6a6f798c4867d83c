// swift-tools-version: 6.2
import PackageDescription

// Every target treats a warning as an error, and all but the program's first lines speak to the machine's vector unit.
let plain: [SwiftSetting] = [.treatAllWarnings(as: .error)]
#if arch(x86_64)
  let vector = plain + [.unsafeFlags(["-target-cpu", "haswell"])]
#else
  let vector = plain
#endif
let exact: [CSetting] = [.unsafeFlags(["-ffp-contract=off", "-O2", "-Wall", "-Wextra", "-Werror"])]

func module(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .target(name: name, dependencies: dependencies, resources: resources, swiftSettings: vector)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: dependencies + ["TestSupport"],
    resources: [.copy("Fixtures")], swiftSettings: vector)
}

let package = Package(
  name: "Martlet",
  products: [.executable(name: "train", targets: ["train"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
    .systemLibrary(name: "CHDF5", pkgConfig: "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .target(name: "CIntrinsics", cSettings: exact),
    .target(name: "CProcessor", cSettings: exact),
    .target(name: "CSandbox", cSettings: exact),

    module("Tensor", ["COpenBLAS", "CIntrinsics"]),
    module("Transformer", ["Tensor"]),
    module("Checkpoint", ["Transformer", "Tensor", "CHDF5"]),
    module("PPO", ["Tensor"]),
    module("Cluster", ["Tensor"]),
    module("Rollout", ["Transformer", "Tensor", "CSandbox"], resources: [.copy("Python")]),
    module("Pipeline", ["Tensor", "Transformer", "Checkpoint", "PPO", "Cluster", "Rollout", "Yams"]),
    module(
      "Commands",
      [
        "Pipeline", "Rollout", "Checkpoint", "Transformer", "Tensor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .executableTarget(name: "train", dependencies: ["Commands", "CProcessor"], swiftSettings: plain),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: vector),
    tests("Tensor", ["Tensor"]),
    tests("Transformer", ["Transformer", "Tensor"]),
    tests("Checkpoint", ["Checkpoint", "Transformer", "Tensor"]),
    tests("PPO", ["PPO"]),
    tests("Rollout", ["Rollout", "Transformer", "Tensor"]),
    tests("Pipeline", ["Pipeline", "Rollout", "Cluster", "PPO", "Checkpoint", "Transformer", "Tensor"]),
  ],
  swiftLanguageModes: [.v6]
)

// Only for `make fuzz`: its main function is libFuzzer's.
if Context.environment["MARTLET_FUZZ"] != nil {
  package.targets += [
    .target(name: "CFuzzMain", path: "Fuzz/main"),
    .executableTarget(
      name: "fuzz", dependencies: ["CFuzzMain", "Pipeline", "Rollout", "Checkpoint", "Transformer", "Tensor"],
      path: "Fuzz", exclude: ["main", "corpus"], swiftSettings: vector + [.unsafeFlags(["-parse-as-library"])]),
  ]
}
