/// What the program says of itself.
public enum Martlet {
  /// The version of this build, as `--version` prints it.
  public static let version = "0.1.0"
}
