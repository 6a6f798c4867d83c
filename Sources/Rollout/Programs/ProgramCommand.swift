import Foundation
import Support

/// A program of the user's, as a configuration or a manifest of tools names it.
public struct ProgramCommand: Sendable, Equatable {
  /// Where it is named, for messages: `reward.command`, `tools: sql`.
  public var key: String
  /// The program and its arguments. `python3` is the Python of `interpreter.python`, another name without a slash is
  /// looked up in PATH. `@tasks/NAME` is a task that comes with the program.
  public var words: [String]
  /// Seconds that one request may take; the first one includes the program's start.
  public var timeLimit: Double

  /// - Parameter key: the configuration's key that names the program, for errors.
  public init(key: String, words: [String], timeLimit: Double) {
    self.key = key
    self.words = words
    self.timeLimit = timeLimit
  }

  /// As a user would write it.
  package var text: String { words.joined(separator: " ") }

  /// Whether a word of a command names a file or a folder. The first one needs a slash for that, as in a shell.
  package static func isPath(_ words: [String], _ place: Int) -> Bool {
    guard !words[place].isEmpty, place > 0 || words[place].contains("/") else { return false }
    return FileManager.default.fileExists(atPath: words[place])
  }

  /// Whether a word names a task that comes with the program.
  package static func isShipped(_ word: String) -> Bool { word.hasPrefix("@tasks/") }

  /// The file that such a word names.
  private static func shipped(_ word: String) throws -> String { try PythonRuntime.source(String(word.dropFirst())) }

  /// The files that a command names: what a run depends on besides its keys.
  package static func files(_ words: [String]) -> [String] {
    words.indices.compactMap { place in
      if isShipped(words[place]) { return try? shipped(words[place]) }
      var isFolder: ObjCBool = false
      guard isPath(words, place) else { return nil }
      let isThere = FileManager.default.fileExists(atPath: words[place], isDirectory: &isFolder)
      return isThere && !isFolder.boolValue ? words[place] : nil
    }
  }

  /// The words with the program's own path first and every other path absolute: the program runs in another folder.
  /// - Throws: `MartletError` (configuration) when there is no such program.
  package func resolved(python: String?) throws -> [String] {
    guard let first = words.first, !first.isEmpty else {
      throw MartletError(.configuration, "\(key): names no program; write its words as a list: [python3, reward.py]")
    }
    let rest = try words.indices.dropFirst().map { place in
      if Self.isShipped(words[place]) { return try Self.shipped(words[place]) }
      return Self.isPath(words, place) ? Self.absolute(words[place]) : words[place]
    }
    return [try executable(first, python)] + rest
  }

  private func executable(_ name: String, _ python: String?) throws -> String {
    if name == "python3" || name == "python" { return try PythonRuntime.python(python) }
    let files = FileManager.default
    if name.contains("/") {
      guard files.isExecutableFile(atPath: name) else {
        throw MartletError(.configuration, "\(key): \(name) is no file that can be run; check its path and its mode")
      }
      return Self.absolute(name)
    }
    let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
    if let folder = folders.first(where: { files.isExecutableFile(atPath: "\($0)/\(name)") }) {
      return "\(folder)/\(name)"
    }
    let advice = name.contains(" ") ? "write the words as a list: [python3, reward.py]" : "give its path"
    throw MartletError(.configuration, "\(key): \(name) was not found in PATH; \(advice)")
  }

  /// What the program may read beside the system's and Python's own files: the folders of the files that it is named
  /// with.
  func readable(_ resolved: [String]) -> [String] {
    let shared = ["/", "/root", "/home", "/tmp", NSHomeDirectory()]
    return resolved.filter { $0.hasPrefix("/") && FileManager.default.fileExists(atPath: $0) }.map { path in
      var isFolder: ObjCBool = false
      if FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue { return path }
      let folder = Support.folder(of: path)
      return shared.contains(folder) ? path : folder
    }
  }

  private static func absolute(_ path: String) -> String {
    URL(fileURLWithPath: path).standardizedFileURL.path
  }
}
