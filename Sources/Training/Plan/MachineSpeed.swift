import Foundation
import Reports
import Support
import Tensor

/// The machine's limits, against which `bench` and `plan` measure.
public struct MachineSpeed: Codable, Sendable, Equatable {
  /// Floating-point operations a second of a large fp32 matrix product by OpenBLAS, in 10^9.
  public var gflops: Double
  /// Bytes a second that all threads together read from memory, in 10^9.
  public var readGigabytes: Double
  /// How many threads were measured.
  public var threads: Int

  enum CodingKeys: String, CodingKey {
    case gflops
    case readGigabytes = "read_gigabytes_per_second"
    case threads
  }

  /// A speed that was measured before.
  public init(gflops: Double, readGigabytes: Double, threads: Int) {
    self.gflops = gflops
    self.readGigabytes = readGigabytes
    self.threads = threads
  }

  /// Measures both, in about a second. The best of several repeats counts, since disturbances only slow down.
  public static func measure(pool: WorkerPool) -> MachineSpeed {
    MachineSpeed(gflops: sgemm(pool: pool), readGigabytes: reading(pool: pool), threads: pool.threadCount)
  }

  private static func sgemm(pool: WorkerPool) -> Double {
    let size = 1024
    let (x, w, y) = (FloatBuffer(count: size * size), FloatBuffer(count: size * size), FloatBuffer(count: size * size))
    for buffer in [x, w] { for index in 0..<buffer.count { buffer.pointer[index] = Float(index % 17) * 0.01 } }
    let best = shortest(repeats: 9, within: 0.6) {
      linearBLAS(
        MutableRows(y.pointer, count: size, width: size), Rows(x.pointer, count: size, width: size),
        weight: Rows(w.pointer, count: size, width: size), bias: nil, pool: pool)
    }
    return 2 * Double(size) * Double(size) * Double(size) / best / 1e9
  }

  /// Reads a buffer that is larger than any cache. The sums are used, so that the compiler keeps the reads.
  private static func reading(pool: WorkerPool) -> Double {
    let bytes = max(64 << 20, min(384 << 20, MachineMemory.available() / 8))
    let buffer = FloatBuffer(count: bytes / 4)
    let parts = 16 * pool.threadCount
    let share = buffer.count / parts / 64 * 64
    let sums = FloatBuffer(count: parts)
    let base = UnsafeRawPointer(buffer.pointer)
    pool.run(parts) { part in
      for index in stride(from: part * share, to: (part + 1) * share, by: 1024) { buffer.pointer[index] = 1 }
    }
    let best = shortest(repeats: 7, within: 0.5) {
      pool.run(parts) { part in
        sums.pointer[part] = readThrough(UnsafeRawBufferPointer(start: base + part * share * 4, count: share * 4))
      }
    }
    return Double(parts * share * 4) / best / 1e9
  }

  private static func shortest(repeats: Int, within limit: Double, _ body: () -> Void) -> Double {
    var best = Double.infinity
    var spent = 0.0
    for _ in 0..<repeats where spent < limit {
      let seconds = elapsed(body)
      best = min(best, seconds)
      spent += seconds
    }
    return best
  }
}

/// The memory this process may take.
public enum MachineMemory {
  /// Bytes of the machine, or of the control group if that allows less.
  public static func total() -> Int { min(field("MemTotal:") ?? Int.max, groupLimit() ?? Int.max) }

  /// Bytes that can be taken without swapping: the least of what machine, control group and address space allow.
  public static func available() -> Int {
    var least = field("MemAvailable:") ?? total()
    if let limit = groupLimit() { least = min(least, max(0, limit - groupUse())) }
    var addresses = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &addresses) == 0, addresses.rlim_cur < UInt64(Int.max) {
      least = min(least, Int(addresses.rlim_cur))
    }
    return least
  }

  /// Bytes of the cache that all cores share; 0 when the machine does not say.
  package static let lastLevelCache: Int = {
    let folder = "/sys/devices/system/cpu/cpu0/cache"
    let sizes = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).compactMap { entry -> Int? in
      guard let text = word("\(folder)/\(entry)/size"), let number = Int(text.dropLast()) else { return nil }
      return number << (text.hasSuffix("M") ? 20 : 10)
    }
    return sizes.max() ?? 0
  }()

  private static func field(_ name: String) -> Int? {
    guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
    for line in text.split(separator: "\n") where line.hasPrefix(name) {
      return line.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }
    return nil
  }

  private static func groupLimit() -> Int? {
    for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
      if let limit = word(path).flatMap({ Int($0) }), limit < 1 << 60 { return limit }
    }
    return nil
  }

  /// Bytes that the group uses. Cached pages of files do not count: they are given up when memory is needed.
  private static func groupUse() -> Int {
    let used =
      word("/sys/fs/cgroup/memory.current") ?? word("/sys/fs/cgroup/memory/memory.usage_in_bytes") ?? "0"
    var files = 0
    let statistics = (try? String(contentsOfFile: "/sys/fs/cgroup/memory.stat", encoding: .utf8)) ?? ""
    for line in statistics.split(separator: "\n") where line.hasPrefix("inactive_file ") {
      files = Int(line.dropFirst("inactive_file ".count)) ?? 0
    }
    return max(0, (Int(used) ?? 0) - files)
  }

  private static func word(_ path: String) -> String? {
    (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
  }
}
