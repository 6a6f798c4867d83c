import Foundation

/// A type some of whose numbers are read from JSON as text, digit by digit: `0.10`, `1e-5`, a whole number that no
/// `Int` holds.
public protocol VerbatimNumbers: Decodable {
  /// Keys of the object whose numbers become strings before decoding.
  static var verbatimKeys: Set<String> { get }
}

/// Puts quotation marks around the numbers of some keys of the outermost JSON object. Everything else stays as it is,
/// malformed text included.
struct NumberQuoter {
  private let bytes: [UInt8]
  private let keys: Set<String>
  private var index = 0
  private var copied = 0
  private var result: [UInt8] = []

  static func quoted(_ bytes: [UInt8], keys: Set<String>) -> [UInt8] {
    var quoter = NumberQuoter(bytes: bytes, keys: keys)
    quoter.run()
    return quoter.result
  }

  private init(bytes: [UInt8], keys: Set<String>) {
    self.bytes = bytes
    self.keys = keys
  }

  private mutating func run() {
    var depth = 0
    while index < bytes.count {
      switch bytes[index] {
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
      case UInt8(ascii: "\""):
        let text = string()
        if depth == 1, keys.contains(String(decoding: text, as: UTF8.self)) { quoteNumber() }
        continue
      default: break
      }
      index += 1
    }
    result += bytes[copied...]
  }

  /// Reads the string that starts here, without its quotation marks.
  private mutating func string() -> ArraySlice<UInt8> {
    let start = index + 1
    index = start
    while index < bytes.count, bytes[index] != UInt8(ascii: "\"") {
      index += bytes[index] == UInt8(ascii: "\\") ? 2 : 1  // an escaped quotation mark does not end it
    }
    index = min(index + 1, bytes.count)
    return bytes[start..<max(start, index - 1)]
  }

  /// The number after a colon, where there is one.
  private mutating func quoteNumber() {
    skipSpaces()
    guard index < bytes.count, bytes[index] == UInt8(ascii: ":") else { return }
    index += 1
    skipSpaces()
    let start = index
    while index < bytes.count, "+-.0123456789eE".utf8.contains(bytes[index]) { index += 1 }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    guard text.wholeMatch(of: #/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/#) != nil else { return }
    result += bytes[copied..<start] + [UInt8(ascii: "\"")] + bytes[start..<index] + [UInt8(ascii: "\"")]
    copied = index
  }

  private mutating func skipSpaces() {
    while index < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
  }
}
