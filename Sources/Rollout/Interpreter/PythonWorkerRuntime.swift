import CSandbox
import Foundation
import Support

/// Finds the Python program and our Python sources.
package enum PythonRuntime {
  /// The program's own folder and the folders above it, nearest first. A build tree or an installation is in one of
  /// them.
  package static let programFolders: [String] = {
    ProgramFolders.above([ProgramFolders.executable, csandbox_image_path().map { String(cString: $0) }])
  }()

  /// A file of the folder `Sources/Rollout/Python`: beside the program in a build tree
  /// (`Martlet_Rollout.resources/Python`), in `PREFIX/lib/martlet/Python` where `PREFIX/bin` holds the program.
  /// - Throws: `MartletError` (configuration) naming the folders searched.
  package static func source(_ name: String) throws -> String {
    var searched: [String] = []
    for folder in programFolders {
      for place in ["Martlet_Rollout.resources/Python", "lib/martlet/Python", "Sources/Rollout/Python"] {
        let path = "\(folder)/\(place)/\(name)"
        if FileManager.default.isReadableFile(atPath: path) { return path }
        searched.append("\(folder)/\(place)")
      }
    }
    throw MartletError(
      .configuration,
      "\(name) was not found in any of \(searched.prefix(3).joined(separator: ", ")), ...; run `make install` again, "
        + "or keep the program in its build folder")
  }

  /// The library that makes the zygote cheap to fork (`snapshot.c`); nil where it was not built.
  static var snapshotLibrary: String? {
    let name = "libMartletSnapshot.so"
    return programFolders.lazy.flatMap { ["\($0)/.build/\(name)", "\($0)/lib/martlet/\(name)"] }
      .first { FileManager.default.isReadableFile(atPath: $0) }
  }

  /// The Python to run.
  /// - Throws: `MartletError` (configuration) when `setting` cannot run or nothing is found.
  package static func python(_ setting: String?) throws -> String {
    let files = FileManager.default
    if let setting {
      guard files.isExecutableFile(atPath: setting) else {
        throw MartletError(.configuration, "python: \(setting) is not an executable file; name a Python 3.9 or newer")
      }
      return try resolve(setting)
    }
    let near = [files.currentDirectoryPath] + programFolders
    for folder in near {
      for place in [".venv/bin/python3", "lib/martlet/venv/bin/python3"] {
        let path = "\(folder)/\(place)"
        if files.isExecutableFile(atPath: path) { return try resolve(path) }
      }
    }
    for folder in (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
      let path = "\(folder)/python3"
      if files.isExecutableFile(atPath: path) { return try resolve(path) }
    }
    throw MartletError(
      .configuration,
      "no Python found: neither .venv/bin/python3 nor python3 in PATH; run `make deps` once, or install python3"
    )
  }

  /// A wrapper script (pyenv's shims) needs an environment that we do not pass on, so we ask it for the real program.
  private static func resolve(_ path: String) throws -> String {
    guard let handle = FileHandle(forReadingAtPath: path), let start = try handle.read(upToCount: 2),
      start == Data("#!".utf8)
    else { return path }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path)
    process.arguments = ["-c", "import sys; print(sys.executable)"]
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    do { try process.run() } catch {
      throw MartletError(.configuration, "python: \(path) does not run: \(error)")
    }
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    let program = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard process.terminationStatus == 0, FileManager.default.isExecutableFile(atPath: program) else {
      throw MartletError(.configuration, "python: \(path) does not say where its Python is; set `python`")
    }
    return program
  }

  /// The whole environment of our Python processes. Nothing of the trainer's environment gets in.
  static let environment: [String] = {
    var list = [
      "PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUTF8=1", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/tmp",
      "PATH=/usr/local/bin:/usr/bin:/bin", "OPENBLAS_NUM_THREADS=1", "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1",
    ]
    if let path = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] { list.append("LD_LIBRARY_PATH=\(path)") }
    return list
  }()

  /// Starts one of our Python programs with `control` as its descriptor 3.
  static func spawn(python: String, source: String, arguments: [String], control: Int32, errors: Int32) throws -> pid_t
  {
    let words = [python, "-s", "-B", source] + arguments
    var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    var environment: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
    defer { (pointers + environment).forEach { free($0) } }
    var child: pid_t = 0
    let failure = csandbox_spawn(python, &pointers, &environment, control, errors, &child)
    guard failure == 0 else {
      throw MartletError(.configuration, "python: \(python) does not start: \(String(cString: strerror(failure)))")
    }
    return child
  }

  /// The last lines of a child's error file.
  static func text(ofFile descriptor: Int32) -> String {
    lseek(descriptor, 0, SEEK_SET)
    var bytes = [UInt8](repeating: 0, count: 65_536)
    let count = read(descriptor, &bytes, bytes.count)
    let lines = String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).split(separator: "\n")
    return lines.suffix(4).joined(separator: " | ")
  }
}
