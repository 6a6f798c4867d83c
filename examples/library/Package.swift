// swift-tools-version: 6.2
import PackageDescription

// By path, for this example. From elsewhere:
//   .package(url: "https://.../martlet", exact: "0.1.0")
let package = Package(
  name: "toy-grpo",
  dependencies: [.package(name: "Martlet", path: "../..")],
  targets: [
    .executableTarget(
      name: "toy-grpo",
      dependencies: ["PPO", "Tensor", "Transformer"].map { .product(name: $0, package: "Martlet") })
  ],
  swiftLanguageModes: [.v6]
)
