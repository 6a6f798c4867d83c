import Foundation
import Synchronization

/// What a stream can show: a window of some size, or a pipe.
struct Terminal: Sendable {
  let descriptor: Int32
  /// Whether the cursor can be moved, so that a line can be drawn again. Not in a pipe, and not with `TERM=dumb`.
  let isInteractive: Bool

  static let output = Terminal(1)
  static let errors = Terminal(2)

  /// Whether something is drawn that has to go before the program ends; a signal's handler looks at it.
  static let isDrawn = Atomic<Bool>(false)

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    let term = Self.variable("TERM") ?? ""
    isInteractive = isatty(descriptor) == 1 && !term.isEmpty && term != "dumb"
  }

  /// Whether to colour what is written here: a terminal, and no `NO_COLOR`.
  var hasColour: Bool { isInteractive && Self.variable("NO_COLOR") == nil }

  /// The window as it is now. A `COLUMNS` that is narrower counts; where nothing is known, 80 x 24.
  var size: (columns: Int, rows: Int) {
    var window = winsize()
    let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &window) == 0
    let asked = Self.variable("COLUMNS").flatMap { Int($0) }.flatMap { $0 > 0 ? $0 : nil }
    let own = isKnown && window.ws_col > 0 ? Int(window.ws_col) : asked ?? 80
    return (min(own, asked ?? own), isKnown && window.ws_row > 0 ? Int(window.ws_row) : 24)
  }

  /// Writes all of `text`.
  /// - Returns: whether there is still somebody who reads.
  @discardableResult
  func write(_ text: String) -> Bool {
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      bytes = bytes.dropFirst(count)
    }
    return true
  }

  private static func variable(_ name: String) -> String? {
    guard let value = ProcessInfo.processInfo.environment[name], !value.isEmpty else { return nil }
    return value
  }
}

/// The colours of a text, as a terminal understands them.
enum Colour: String {
  case dim = "2"
  case red = "31"
  case green = "32"
  case yellow = "33"
  case magenta = "35"
  case cyan = "36"

  /// `text` in this colour.
  func paint(_ text: String) -> String { text.isEmpty ? "" : "\u{1B}[\(rawValue)m\(text)\u{1B}[0m" }
}

extension String {
  /// Without characters that a terminal would obey: an escape sequence in a model's text is shown, not followed. Line
  /// ends and tabs stay.
  var printable: String {
    var text = String.UnicodeScalarView()
    for scalar in unicodeScalars {
      switch scalar.value {
      case 0x09, 0x0A: text.append(scalar)
      case 0..<0x20: text.append(Unicode.Scalar(0x2400 + scalar.value) ?? "\u{FFFD}")
      case 0x7F: text.append("\u{2421}")
      case 0x80..<0xA0: text.append("\u{FFFD}")
      default: text.append(scalar)
      }
    }
    return String(text)
  }
}
