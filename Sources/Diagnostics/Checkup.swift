import Foundation
import Rollout
import Support
import Tensor
import Training

/// One thing that `train doctor` looked at.
public struct Finding: Codable, Sendable, Equatable {
  /// How bad it is.
  public enum Status: String, Codable, Sendable { case ok, warning, failed }

  /// What was looked at.
  public var name: String
  /// How bad it is.
  public var status: Status
  /// What was found.
  public var text: String
  /// What to do about it.
  public var remedy: String?

  /// Whether the program can work in spite of it.
  public var ok: Bool { status != .failed }

  /// A finding, with a remedy where one is needed.
  public init(_ name: String, _ status: Status, _ text: String, remedy: String? = nil) {
    self.name = name
    self.status = status
    self.text = text
    self.remedy = remedy
  }
}

/// What this machine offers a trainer, found by trying.
public struct Checkup: Codable, Sendable, Equatable {
  /// One for each thing that was looked at.
  public var findings: [Finding]

  /// Whether everything that is needed is there.
  public var ok: Bool { findings.allSatisfy(\.ok) }

  /// - Parameters:
  ///   - folder: the folder of future runs; it is made if it is missing.
  ///   - python: the Python to use; nil: as the interpreter finds it.
  public static func run(folder: String, python: String? = nil) -> Checkup {
    var findings = [processor(), cores(), memory(), linearAlgebra(), hdf5()]
    findings += packages(python: python)
    findings += [sandbox(python: python), grader(python: python)]
    findings += disk(folder)
    return Checkup(findings: findings)
  }

  /// One line for each finding, with its remedy below.
  public var text: String {
    let width = findings.reduce(0) { max($0, $1.name.count) }
    return findings.map { finding in
      let mark = [Finding.Status.ok: "ok     ", .warning: "warning", .failed: "FAILED "][finding.status] ?? ""
      let remedy = finding.remedy.map { "\n" + padded("", to: 9 + width) + "  -> " + $0 } ?? ""
      return "\(mark)  \(padded(finding.name, to: width))  \(finding.text)\(remedy)\n"
    }.joined()
  }

  private static func processor() -> Finding {
    #if arch(x86_64)
      let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
      func value(_ key: String) -> Substring? {
        information.split(separator: "\n").first { $0.hasPrefix(key) }?.split(separator: ":", maxSplits: 1).last
      }
      let flags = Set((value("flags") ?? "").split(separator: " "))
      let name = value("model name")?.trimmingCharacters(in: .whitespaces) ?? "x86-64"
      guard kernelName == "portable" else {
        return Finding("processor", .ok, "\(name): AVX2, FMA" + (flags.contains("avx512f") ? ", AVX-512" : ""))
      }
      return Finding(
        "processor", .warning, "\(name): the portable kernels, the same bits at a fraction of the speed",
        remedy: "use a machine with AVX2 and FMA (Intel since 2013, AMD since 2015), and leave MARTLET_KERNELS unset")
    #else
      return Finding("processor", .ok, "64-bit ARM: NEON")
    #endif
  }

  private static func cores() -> Finding {
    let online = ProcessInfo.processInfo.activeProcessorCount
    return Finding("cores", .ok, "\(WorkerPool.physicalCoreCount) physical cores to use, \(online) hardware threads")
  }

  private static func memory() -> Finding {
    let (free, total) = (MachineMemory.available(), MachineMemory.total())
    let text = "\(byteText(free)) of \(byteText(total)) free"
    guard free < 2_000_000_000 else { return Finding("memory", .ok, text) }
    return Finding("memory", .warning, text, remedy: "end other programs; ask `train plan` what a run needs")
  }

  private static func linearAlgebra() -> Finding { Finding("OpenBLAS", .ok, blasDescription) }

  private static func hdf5() -> Finding {
    typealias Version =
      @convention(c) (
        UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>, UnsafeMutablePointer<UInt32>
      ) -> Int32
    // The library that the loader found for this program.
    guard let program = dlopen(nil, RTLD_NOW), let symbol = dlsym(program, "H5get_libversion") else {
      return Finding("HDF5", .failed, "not loaded", remedy: "install libhdf5-dev and build again")
    }
    var (major, minor, release) = (UInt32(0), UInt32(0), UInt32(0))
    guard unsafeBitCast(symbol, to: Version.self)(&major, &minor, &release) >= 0 else {
      return Finding("HDF5", .failed, "does not say its version", remedy: "install libhdf5-dev and build again")
    }
    return Finding("HDF5", .ok, "\(major).\(minor).\(release)")
  }

  /// The packages of `requirements.txt`: their names, the modules to import, and what they are for.
  private static let requirements = [
    ("numpy", "numpy", "snippets"), ("sympy", "sympy", "snippets"), ("math-verify", "math_verify", "grading"),
    ("Jinja2", "jinja2", "chat templates"),
  ]

  private static func packages(python: String?) -> [Finding] {
    let program: String
    do { program = try PythonRuntime.python(python) } catch {
      return [Finding("Python", .failed, "\(error)", remedy: "install python3 and run `make deps`")]
    }
    let script = """
      import importlib, importlib.metadata, sys
      print(sys.version.split()[0])
      for name, module in (argument.split("=") for argument in sys.argv[1:]):
        try:
          importlib.import_module(module)
          print(importlib.metadata.version(name))
        except Exception as error:
          print("!", type(error).__name__, str(error).replace("\\n", " "))
      """
    let lines = output(program, ["-s", "-c", script] + requirements.map { "\($0.0)=\($0.1)" })
    guard let lines, lines.count == requirements.count + 1 else {
      return [Finding("Python", .failed, "\(program) does not run", remedy: "name a working Python 3.9 or newer")]
    }
    var findings = [Finding("Python", .ok, "\(lines[0]) at \(program)")]
    for (requirement, line) in zip(requirements, lines.dropFirst()) {
      if line.hasPrefix("! ") {
        findings.append(
          Finding(
            requirement.0, requirement.2 == "snippets" ? .warning : .failed,
            "needed for \(requirement.2): \(line.dropFirst(2))",
            remedy: "run `make deps`, or pip install -r requirements.txt"))
      } else {
        findings.append(Finding(requirement.0, .ok, line))
      }
    }
    return findings
  }

  private static func sandbox(python: String?) -> Finding {
    do {
      let host = try InterpreterHost(settings: InterpreterSettings(python: python))
      defer { host.close() }
      let session = try host.open(key: 1)
      defer { session.close() }
      let result = session.run("print(6 * 7)")
      guard result.status == .ok, result.output == "42\n" else {
        return Finding(
          "sandbox", .failed, "print(6 * 7) gave \(result.status.rawValue): \(result.detail) \(result.output)",
          remedy: "run `train python` on a cell of your own and read docs/sandbox.md")
      }
      let report = host.report
      let reasons = report.reasons.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "; ")
      var found = "tier \(report.tier), Landlock \(report.landlock)"
      if !report.unshared.isEmpty { found += "; blocks start slower, memory is not shared (\(report.unshared))" }
      if reasons.isEmpty { return Finding("sandbox", .ok, found) }
      return Finding(
        "sandbox", .warning, "\(found); better tiers do not work: \(reasons)",
        remedy: "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1); see docs/sandbox.md")
    } catch {
      return Finding("sandbox", .failed, "\(error)", remedy: "read docs/sandbox.md: which tier needs what")
    }
  }

  private static func grader(python: String?) -> Finding {
    do {
      // Sums are not read here, so that math-verify is asked.
      let result = try Grader(python: python, workers: 1).grade(answer: "\\sum_{i=1}^{3} i", gold: "6")
      if result.verdict == .correct, result.how == .mathVerify {
        return Finding("grader", .ok, "math-verify finds the sum of i from 1 to 3 equal to 6")
      }
      return Finding(
        "grader", .failed, "the sum of i from 1 to 3 against 6 is \(result.verdict.rawValue)",
        remedy: "run `make deps` again")
    } catch {
      return Finding("grader", .failed, "\(error)", remedy: "run `make deps`")
    }
  }

  private static func disk(_ folder: String) -> [Finding] {
    let remedy = "choose a folder on a local disk that may be written"
    do {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    } catch {
      return [Finding("disk", .failed, "\(folder): cannot be made: \(error.localizedDescription)", remedy: remedy)]
    }
    var findings: [Finding] = []
    var system = statvfs()
    if statvfs(folder, &system) == 0 {
      let free = Int(system.f_bavail) * Int(system.f_frsize)
      let low = free < 5_000_000_000
      findings.append(
        Finding(
          "disk", low ? .warning : .ok, "\(byteText(free)) free in \(folder)",
          remedy: low ? "free some: a checkpoint takes three times the weights, and two are kept" : nil))
    }
    if let failure = syncFailure(folder) {
      findings.append(Finding("fsync", .failed, "\(folder): \(failure)", remedy: remedy))
    } else {
      findings.append(Finding("fsync", .ok, "files and folders can be synced and renamed"))
    }
    return findings
  }

  /// Writes, syncs and renames a file as a checkpoint does.
  /// - Returns: what failed; nil: nothing.
  private static func syncFailure(_ folder: String) -> String? {
    let (temporary, final) = ("\(folder)/.doctor-\(getpid()).tmp", "\(folder)/.doctor-\(getpid())")
    func failure(_ call: String) -> String { "\(call): \(String(cString: strerror(errno)))" }
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return failure("open") }
    defer {
      close(file)
      unlink(temporary)
      unlink(final)
    }
    guard write(file, "martlet\n", 8) == 8 else { return failure("write") }
    guard fsync(file) == 0 else { return failure("fsync") }
    guard rename(temporary, final) == 0 else { return failure("rename") }
    let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard directory >= 0 else { return failure("open folder") }
    defer { close(directory) }
    return fsync(directory) == 0 ? nil : failure("fsync folder")
  }

  /// The lines that a program prints; nil when it fails.
  private static func output(_ program: String, _ arguments: [String]) -> [String]? {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    guard (try? process.run()) != nil else { return nil }
    let bytes = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { return nil }
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}
