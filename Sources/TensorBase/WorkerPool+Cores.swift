import CIntrinsics
import Glibc

extension WorkerPool {
  /// The number of physical cores this process may use: its affinity mask, two hardware threads of a core counted once,
  /// and the control group's quota, rounded up.
  public static let physicalCoreCount: Int = {
    var list = [Int32](repeating: 0, count: 1024)
    let allowedCount = Int(martlet_allowed_processors(&list, 1024))
    var allowed = list.prefix(allowedCount).map { Int($0) }
    if allowed.isEmpty { allowed = Array(0..<max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))))) }
    let cores = Set(
      allowed.map { processor in
        firstLine("/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list") ?? "\(processor)"
      })
    var count = max(1, cores.count)
    if let quota = firstLine("/sys/fs/cgroup/cpu.max")?.split(separator: " "), quota.count == 2,
      let used = Int(quota[0]), let period = Int(quota[1]), used > 0, period > 0
    {
      count = max(1, min(count, (used + period - 1) / period))
    }
    return count
  }()

  private static func firstLine(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, 256, file) != nil else { return nil }
    let text = line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
    return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
  }
}
