import CVersion

/// What the program says of itself.
public enum Martlet {
  /// The version of this build, as `--version` prints it.
  public static let version = "0.1.0"

  /// The commit this was built from: `abc1234`, with `-dirty` behind it if files were changed, or `unknown`.
  public static let commit = String(cString: martlet_commit())

  /// What `train --version` prints: `0.1.0 (abc1234)`.
  public static let versionAndCommit = "\(version) (\(commit))"
}
