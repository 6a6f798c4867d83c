import Foundation

/// Where the program looks for what belongs to it: in a build tree, or in an installation.
package enum ProgramFolders {
  /// The running program; nil where the system does not say.
  package static var executable: String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
  }

  /// The folders of these images and up to five above each, nearest first, each once.
  package static func above(_ images: [String?]) -> [String] {
    var folders: [String] = []
    for case .some(let image) in images {
      var url = URL(fileURLWithPath: image).resolvingSymlinksInPath().deletingLastPathComponent()
      for _ in 0..<6 where url.path != "/" && !folders.contains(url.path) {
        folders.append(url.path)
        url.deleteLastPathComponent()
      }
    }
    return folders
  }
}
