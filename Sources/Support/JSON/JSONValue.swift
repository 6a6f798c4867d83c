/// A JSON value that can be written again as it was read: members keep their order, numbers their digits.
package indirect enum JSONValue: Sendable {
  case null
  case bool(Bool)
  /// The number, and how the file spells it.
  case number(Double, literal: String)
  case string([UInt8])
  case array([JSONValue])
  case object([(key: String, value: JSONValue)])

  /// The member's value; nil where it is absent or null.
  package subscript(key: String) -> JSONValue? {
    guard case .object(let members) = self, let member = members.last(where: { $0.key == key }) else { return nil }
    if case .null = member.value { return nil }
    return member.value
  }

  /// What the value is, for messages.
  package var kind: String {
    switch self {
    case .null: "null"
    case .bool: "a boolean"
    case .number: "a number"
    case .string: "a string"
    case .array: "an array"
    case .object: "an object"
    }
  }
}

extension JSONValue: Equatable {
  package static func == (a: JSONValue, b: JSONValue) -> Bool { a.text == b.text }

  /// The value of a text.
  package init(_ text: String) { self = .string(Array(text.utf8)) }

  /// The text, where it is one.
  package var asText: String? {
    if case .string(let bytes) = self { String(decoding: bytes, as: UTF8.self) } else { nil }
  }

  /// Parses a text (RFC 8259, no extensions); nil: it is no JSON.
  package init?(json text: String) {
    let value = Array(text.utf8).withUnsafeBufferPointer { bytes in
      var scanner = JSONScanner(bytes, path: "")
      guard let value = try? scanner.value(), (try? scanner.expectEnd()) != nil else { return JSONValue?.none }
      return value
    }
    guard let value else { return nil }
    self = value
  }

  /// As JSON on one line.
  package var text: String {
    switch self {
    case .null: "null"
    case .bool(let value): value ? "true" : "false"
    case .number(_, let literal): literal
    case .string(let bytes): Self.quoted(bytes)
    case .array(let elements): "[" + elements.map(\.text).joined(separator: ", ") + "]"
    case .object(let members):
      "{" + members.map { Self.quoted(Array($0.key.utf8)) + ": " + $0.value.text }.joined(separator: ", ") + "}"
    }
  }

  private static func quoted(_ bytes: [UInt8]) -> String {
    var quoted: [UInt8] = [UInt8(ascii: "\"")]
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): quoted += [UInt8(ascii: "\\"), byte]
      case 0..<0x20:
        let digits = Array("0123456789abcdef".utf8)
        quoted += Array("\\u00".utf8) + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: quoted.append(byte)
      }
    }
    return String(decoding: quoted + [UInt8(ascii: "\"")], as: UTF8.self)
  }
}
