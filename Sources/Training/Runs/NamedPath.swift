import Checkpoint
import Foundation
import Support

/// What a user names to be read: a path, or what has this name under `checkpoints/`. The one place where such names are
/// looked up, for the command line and for the paths of configurations.
package enum NamedPath {
  static let home = "checkpoints"

  /// `name` as it stands if something is there, else `checkpoints/name`; nil: neither is there.
  static func find(_ name: String) -> String? {
    guard !name.isEmpty else { return nil }
    return ([name] + (name.hasPrefix("/") ? [] : ["\(home)/\(name)"])).first {
      FileManager.default.fileExists(atPath: $0)
    }
  }

  /// The path of what `name` means.
  /// - Throws: `MartletError` (io) with the nearest name when nothing is there.
  package static func existing(_ name: String) throws -> String {
    if let found = find(name) { return found }
    let parent = RunFolder.parent(of: name)
    let there = [parent, parent == "." ? home : "\(home)/\(parent)"].flatMap { folder in
      RunFolder.contents(folder).filter { !$0.hasPrefix(".") }
    }
    let last = name.split(separator: "/").last.map(String.init) ?? name
    let advice =
      nearestWord(to: last, among: there).map { near in
        "did you mean \(parent == "." ? near : parent + "/" + near)?"
      } ?? "give a path, or a name under \(home)/"
    throw MartletError(.io, "\(name): there is no such file or folder, nor under \(home)/; \(advice)")
  }

  /// The file of episodes that `name` means: that file, or of a run's folder `episodes/eval.jsonl`, else its newest
  /// episodes, else `data.jsonl` or `kept.jsonl`.
  /// - Throws: `MartletError`: io when nothing is there, data for a folder without episodes.
  package static func episodes(_ name: String) throws -> String {
    let path = try existing(name)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), isFolder.boolValue else { return path }
    let folders = [path + "/episodes", path]
    let steps = folders.flatMap { folder in
      RunFolder.contents(folder).filter { $0.hasPrefix("step-") && $0.hasSuffix(".jsonl") }.sorted().reversed()
        .map { "\(folder)/\($0)" }
    }
    let wanted = folders.map { $0 + "/eval.jsonl" } + steps + [path + "/data.jsonl", path + "/kept.jsonl"]
    guard let file = wanted.first(where: { FileManager.default.fileExists(atPath: $0) }) else {
      throw MartletError(.data, "\(path): holds no episodes; name a run that has sampled some, or a file of them")
    }
    return file
  }
}
