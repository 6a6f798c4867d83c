/// The program's own identity.
public enum Martlet {
  public static let version = "0.1.0"
}
