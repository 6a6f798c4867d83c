import Foundation
import Support

/// `@/NAME` in a configuration file is NAME beside that file, wherever it is. So a run's folder can be moved and
/// copied.
enum PortablePath {
  static let prefix = "@/"

  /// The path that `text` means in a file of `folder`. Other texts stay as they are.
  static func resolve(_ text: String, in folder: String) -> String {
    guard text.hasPrefix(prefix) else { return text }
    let path = normalize(folder + "/" + text.dropFirst(prefix.count))
    return path.contains("/") ? path : "./" + path
  }

  /// `path` in the form for a file of `folder`: relative to the folder if it is inside `root`, else unchanged.
  /// - Parameter root: `folder` or one above it.
  static func portable(_ path: String, in folder: String, root: String) -> String {
    guard contains(root, path) else { return path }
    var up = absolute(folder).split(separator: "/")[...]
    var down = absolute(path).split(separator: "/")[...]
    while let first = up.first, first == down.first {
      up.removeFirst()
      down.removeFirst()
    }
    return prefix + (up.map { _ in ".." } + down.map(String.init)).joined(separator: "/")
  }

  /// Whether `path` is inside `root`.
  static func contains(_ root: String, _ path: String) -> Bool {
    let (root, path) = (absolute(root), absolute(path))
    return path == root || path.hasPrefix(root + "/")
  }

  static func absolute(_ path: String) -> String {
    normalize(path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path)
  }

  /// The path without empty parts, `.`, and `..` after a name.
  static func normalize(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/") where part != "." {
      if part == "..", let last = parts.last, last != ".." { parts.removeLast() } else { parts.append(part) }
    }
    return (path.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
  }
}
