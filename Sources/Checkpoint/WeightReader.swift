import Support
import Synchronization
import Tensor
import Transformer

/// What a model's weights are read for.
public enum WeightUse: Sendable {
  /// Everything: all of them in memory, as fp32.
  case any
  /// Sampling alone: matrices are held only in the form that the sampler multiplies with, 16 bits a number where
  /// bfloat16 has it. The model samples the same bits, and can do nothing else.
  case sampling
}

/// Reads tensors into memory in parts, on all threads. No number depends on which thread reads it.
struct WeightReader {
  let pool: WorkerPool

  /// A tensor, and where its numbers go.
  struct Item {
    enum Target {
      /// fp32, row by row.
      case numbers(UnsafeMutablePointer<Float>)
      case panels(UnsafeMutablePointer<Float>, narrow: Bool)
      /// They are only hashed.
      case nowhere
    }
    let tensor: StoredTensor
    let target: Target
  }

  /// A model, and where the stored tensors of its parameters go.
  /// - Parameter wide: of which formats matrices are held as fp32 panels for sampling; those of other formats than
  ///   these and bfloat16 go into memory as they are, since their numbers may be bfloat16's.
  static func model(
    _ configuration: ModelConfiguration, _ tensors: [StoredTensor], for use: WeightUse, wide: Set<NumberFormat> = []
  ) -> (LanguageModel, [Item]) {
    var narrow: [String: Bool] = [:]
    if use == .sampling, configuration.adapters == nil {
      for tensor in tensors where tensor.format == .bfloat16 || wide.contains(tensor.format) {
        narrow[tensor.name] = tensor.format == .bfloat16
      }
    }
    let panels = narrow.isEmpty ? nil : SamplingPanels(ParameterTable(configuration), narrow: narrow)
    let model = LanguageModel(configuration: configuration, panels: panels)
    let items = tensors.map { tensor in
      if let place = panels?.storage(tensor.name) {
        return Item(tensor: tensor, target: .panels(place.pointer, narrow: place.isNarrow))
      }
      guard model.table[tensor.name] != nil else { return Item(tensor: tensor, target: .nowhere) }
      return Item(tensor: tensor, target: .numbers(model.pointer(tensor.name)))
    }
    return (model, items)
  }

  private struct Part {
    let item: Int
    let range: Range<Int>
  }

  /// Parts between two calls of `progress`: about 64 MB of fp32.
  private static let batch = 256

  /// Reads all items.
  /// - Parameter progress: called with the share of the numbers read, in (0, 1].
  /// - Returns: the ``PartsHasher``'s digest of what was read; nil unless `hashes`.
  /// - Throws: the error of the first part that cannot be read.
  @discardableResult
  func read(_ items: [Item], hashes: Bool = false, progress: (Double) -> Void = { _ in }) throws -> String? {
    let parts = items.indices.flatMap { index in
      let tensor = items[index].tensor
      return stride(from: 0, to: tensor.count, by: tensor.partCount).map {
        Part(item: index, range: $0..<min($0 + tensor.partCount, tensor.count))
      }
    }
    let failure = Mutex<(part: Int, error: MartletError)?>(nil)
    let scratches = Mutex<[Scratch]>([])
    var digests = [[UInt8]](repeating: [], count: hashes ? parts.count : 0)
    let total = Double(items.reduce(0) { $0 + $1.tensor.count })
    for first in stride(from: 0, to: parts.count, by: Self.batch) {
      let count = min(Self.batch, parts.count - first)
      digests.withUnsafeMutableBufferPointer { digests in
        nonisolated(unsafe) let digests = digests
        nonisolated(unsafe) let items = items
        pool.run(count) { task in
          let index = first + task
          let scratch = scratches.withLock { $0.popLast() } ?? Scratch()
          do throws(MartletError) {
            let digest = try read(items[parts[index].item], parts[index].range, scratch, hashes: hashes)
            if let digest { digests[index] = digest }
          } catch {
            failure.withLock { if index < $0?.part ?? .max { $0 = (index, error) } }
          }
          scratches.withLock { $0.append(scratch) }
        }
      }
      if let error = failure.withLock({ $0?.error }) { throw error }
      let last = parts[first + count - 1]
      let before = items[..<last.item].reduce(0) { $0 + $1.tensor.count }
      progress(Double(before + last.range.upperBound) / total)
    }
    guard hashes else { return nil }
    var hasher = PartsHasher()
    var next = digests.makeIterator()
    for item in items {
      hasher.begin(item.tensor.name, shape: item.tensor.shape, item.tensor.format)
      for _ in stride(from: 0, to: item.tensor.count, by: item.tensor.partCount) {
        if let digest = next.next() { hasher.add(digest) }
      }
    }
    return hasher.hexDigest()
  }

  /// Reads one part, and returns its digest if one is wanted.
  private func read(
    _ item: Item, _ range: Range<Int>, _ scratch: Scratch, hashes: Bool
  ) throws(MartletError) -> [UInt8]? {
    let tensor = item.tensor
    let byteCount = tensor.format.byteCount(range.count)
    let place = tensor.offset + tensor.format.byteCount(range.lowerBound)
    var bytes: UnsafeMutableRawBufferPointer
    switch item.target {
    case .numbers(let target) where tensor.format == .float32:
      bytes = UnsafeMutableRawBufferPointer(start: target + range.lowerBound, count: byteCount)
      try tensor.file.read(into: bytes, at: place)
    case .nowhere where !hashes: return nil
    default:
      bytes = scratch.bytes(byteCount)
      try tensor.file.read(into: bytes, at: place)
    }
    switch item.target {
    case .numbers(let target):
      if tensor.format != .float32 {
        widen(bytes.baseAddress!, tensor.format, into: target + range.lowerBound, count: range.count)
      }
    case .panels(let target, let narrow):
      let inputs = tensor.shape[1]
      let numbers = scratch.numbers(range.count)
      widen(bytes.baseAddress!, tensor.format, into: numbers, count: range.count)
      let before = PackedWeights.floatCount(outputs: range.lowerBound / inputs, inputs: inputs, narrow: narrow)
      _ = packWeights(
        numbers, outputs: range.count / inputs, inputs: inputs, into: target + before, narrow: narrow, pool: pool)
    case .nowhere: break
    }
    guard hashes else { return nil }
    var hash = SHA256()
    hash.update(UnsafeRawBufferPointer(bytes))
    return hash.digest()
  }

  /// Working memory of one thread, used again for its next part.
  private final class Scratch: @unchecked Sendable {
    private var memory: [UnsafeMutableRawBufferPointer] = [.init(start: nil, count: 0), .init(start: nil, count: 0)]

    deinit { for piece in memory { piece.deallocate() } }

    private func piece(_ index: Int, _ count: Int) -> UnsafeMutableRawBufferPointer {
      if memory[index].count < count {
        memory[index].deallocate()
        memory[index] = .allocate(byteCount: count, alignment: 64)
      }
      return UnsafeMutableRawBufferPointer(rebasing: memory[index][..<count])
    }

    func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer { piece(0, count) }

    func numbers(_ count: Int) -> UnsafeMutablePointer<Float> {
      piece(1, count * 4).baseAddress!.bindMemory(to: Float.self, capacity: count)
    }
  }
}

extension StoredTensor {
  /// The numbers of a part, about 65,536: whole panels of 16 rows, and so whole blocks of every format.
  var partCount: Int { Self.partCount(shape) }

  static func partCount(_ shape: [Int]) -> Int {
    let width = shape.dropFirst().reduce(1, *)
    return 16 * max(1, width) * max(1, (1 << 12) / max(1, width))
  }
}
