/// An error that a user can do something about: in a file, a line of data, a key, the machine.
///
/// The message reads "where: what was wrong; what to do". Wrong shapes are bugs of the caller and are preconditions
/// instead.
public struct MartletError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The process exit status (sysexits.h) that the command line gives for this error.
  public enum Status: Int32, Sendable {
    /// A command line that cannot be understood.
    case usage = 64
    /// Input data that cannot be used.
    case data = 65
    /// A failed read or write.
    case io = 74
    /// Another process holds what this one needs.
    case tryAgain = 75
    /// A configuration that cannot run, or a sandbox that refuses to.
    case configuration = 78
  }

  /// What kind of thing went wrong.
  public let status: Status
  /// "where: what was wrong; what to do".
  public let message: String

  /// - Parameter message: "where: what was wrong; what to do".
  public init(_ status: Status, _ message: String) {
    self.status = status
    self.message = message
  }

  /// The message.
  public var description: String { message }
}
