import Support
import Tensor

/// Low-rank adapters (LoRA; Hu et al. 2021, arXiv:2106.09685): an adapted matrix is W + alpha / rank * B A, and only
/// A [rank, inputs] and B [outputs, rank] are trained.
///
/// Sampler and trainer both pack that sum, made by one function: so the forward pass is the same code with adapters and
/// without, and the two agree bit for bit. The backward pass never makes dW.
public struct LowRankAdapters: Codable, Sendable, Equatable {
  /// 0: none.
  public var rank: Int
  /// The sum B A is multiplied by alpha / rank.
  public var alpha: Double
  /// The matrices of each layer that are adapted.
  public var targets: [Projection]
  /// What A and B begin with.
  public var start: AdapterStart

  /// Adapters of all seven matrices where nothing else is said.
  public init(
    rank: Int = 0, alpha: Double = 32, targets: [Projection] = Projection.allCases, start: AdapterStart = .orthogonal
  ) {
    self.rank = rank
    self.alpha = alpha
    self.targets = targets
    self.start = start
  }

  /// The keys of the coded form.
  public enum CodingKeys: String, CodingKey {
    case rank, alpha, targets
    case start = "init"
  }

  /// Reads all keys but `init`, which is `orthogonal` where it is missing.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    rank = try values.decode(Int.self, forKey: .rank)
    alpha = try values.decode(Double.self, forKey: .alpha)
    targets = try values.decode([Projection].self, forKey: .targets)
    start = try values.decodeIfPresent(AdapterStart.self, forKey: .start) ?? .orthogonal
  }

  /// What B A is multiplied by.
  var scale: Float { Float(alpha / Double(rank)) }

  /// What makes these settings impossible; nil: nothing.
  public var problem: String? {
    if rank < 0 || rank > 4096 { return "rank \(rank) must be from 0 (no adapters) to 4096" }
    if rank == 0 { return nil }
    if !(alpha > 0 && alpha.isFinite) { return "alpha \(alpha) must be a positive number" }
    if targets.isEmpty { return "targets names no matrix" }
    if Set(targets).count != targets.count { return "targets names a matrix twice" }
    return nil
  }
}

/// What adapters begin with.
public enum AdapterStart: String, Codable, Sendable, CaseIterable {
  /// A's rows are orthogonal and as long as those of the usual start (PEFT's, 1 / sqrt 3), B is 0.
  case orthogonal
  /// B A is the best approximation of W of its rank, and W is what is left of it (Meng et al. 2024, arXiv:2404.02948).
  case pissa
}

/// Where an adapter lies in a flat buffer: A [rank, inputs], B [outputs, rank].
struct AdapterPointers {
  let a, b: UnsafeMutablePointer<Float>
}

/// merged = W + scale * B A, each element one chain over the rank, from W.
func mergeAdapter(
  _ merged: UnsafeMutablePointer<Float>, weight: UnsafePointer<Float>, adapter: AdapterPointers, outputs: Int,
  inputs: Int, rank: Int, scale: Float, pool: WorkerPool?
) {
  func row(_ row: Int) {
    let target = merged + row * inputs
    target.update(from: weight + row * inputs, count: inputs)
    for r in 0..<rank {
      let factor = scale * adapter.b[row * rank + r]
      addProduct(target, factor, adapter.a + r * inputs, count: inputs)
    }
  }
  if let pool { pool.run(outputs) { row($0) } } else { for index in 0..<outputs { row(index) } }
}

extension LanguageModel {
  /// The same model with adapters beside its matrices. It computes what it computed before: to the bit with
  /// `orthogonal`, to rounding with `pissa`.
  ///
  /// - Parameter takesWeights: this model's weights are moved, not copied; it is of no use afterwards.
  /// - Throws: `MartletError` when LAPACK fails, and configuration for a rank that a matrix does not have.
  public func adapted(_ adapters: LowRankAdapters, seed: UInt64, takesWeights: Bool = false) throws -> LanguageModel {
    let model = withZeroAdapters(adapters, takesWeights: takesWeights)
    for layer in 0..<configuration.layerCount {
      for projection in adapters.targets {
        let name = ParameterTable.adapterName(layer, projection, "A")
        let (outputs, inputs) = projection.shape(configuration)
        switch adapters.start {
        case .orthogonal:
          var random = CounterRandom(seed: seed, path: [stableHash("adapter"), stableHash(name)])
          try orthogonalInitialization(
            model.pointer(name), rows: adapters.rank, columns: inputs, gain: Float(1 / 3.squareRoot()), random: &random)
        case .pissa:
          guard adapters.rank <= min(outputs, inputs) else {
            throw MartletError(
              .configuration,
              "lora: rank \(adapters.rank) with init pissa, but \(projection.rawValue) is a matrix of "
                + "\(outputs) x \(inputs)")
          }
          try extractPrincipalPart(
            model.layerPointers(layer)[projection], outputs: outputs, inputs: inputs, rank: adapters.rank,
            scale: adapters.scale, a: model.pointer(name),
            b: model.pointer(ParameterTable.adapterName(layer, projection, "B")))
        }
      }
    }
    return model
  }

  /// The same model with adapters beside its matrices, A and B all zero until they are filled in.
  ///
  /// - Parameter takesWeights: as in ``adapted(_:seed:takesWeights:)``.
  public func withZeroAdapters(_ adapters: LowRankAdapters, takesWeights: Bool = false) -> LanguageModel {
    precondition(configuration.adapters == nil && adapters.rank > 0, "withZeroAdapters: \(adapters)")
    var configuration = configuration
    configuration.adapters = adapters
    let model = LanguageModel(configuration: configuration)
    if takesWeights {
      weights.move(into: model.weights)
    } else {
      model.weights.pointer.update(from: weights.pointer, count: table.count)
    }
    return model
  }

  /// The plain model that computes the same; itself when it has no adapters.
  public func merged(pool: WorkerPool? = nil) -> LanguageModel {
    guard configuration.adapters != nil else { return self }
    var plain = configuration
    plain.adapters = nil
    let model = LanguageModel(configuration: plain)
    model.weights.pointer.update(from: weights.pointer, count: model.table.count)
    merge(into: model, pool: pool)
    return model
  }

  /// The same in this model's own memory: only the result may be used afterwards.
  public func mergedInPlace(pool: WorkerPool? = nil) -> LanguageModel {
    guard configuration.adapters != nil else { return self }
    let model = base(valueHead: true)
    merge(into: model, pool: pool)
    return model
  }

  private func merge(into model: LanguageModel, pool: WorkerPool?) {
    guard let adapters = configuration.adapters else { return }
    let plain = model.configuration
    for layer in 0..<plain.layerCount {
      let (p, target) = (layerPointers(layer), model.layerPointers(layer))
      for projection in adapters.targets {
        guard let adapter = p.adapter(projection) else { continue }
        let (outputs, inputs) = projection.shape(plain)
        mergeAdapter(
          target[projection], weight: p[projection], adapter: adapter, outputs: outputs, inputs: inputs,
          rank: adapters.rank, scale: adapters.scale, pool: pool)
      }
    }
  }
}
