/// Reads JSON (RFC 8259) from front to back; Foundation's reader takes seconds for a 150,000-word vocabulary.
package struct JSONScanner {
  /// The whole text.
  package let bytes: UnsafeBufferPointer<UInt8>
  let path: String
  /// The next byte to read.
  package var index = 0
  private static let maximumDepth = 64

  /// - Parameter path: what errors name.
  package init(_ bytes: UnsafeBufferPointer<UInt8>, path: String, at index: Int = 0) {
    self.bytes = bytes
    self.path = path
    self.index = index
  }

  /// An error that says `what` is wrong at byte `place`, or where the scanner stands.
  package func failure(_ what: String, at place: Int? = nil) -> MartletError {
    let place = min(place ?? index, bytes.count)
    let line = 1 + bytes[..<place].count { $0 == UInt8(ascii: "\n") }
    return MartletError(.data, "\(path):\(line): \(what) (byte \(place)); fetch the file again")
  }

  /// The next byte that is not white space, not consumed.
  package mutating func peek() throws -> UInt8 {
    while index < bytes.count {
      let byte = bytes[index]
      if byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09 { return byte }
      index += 1
    }
    throw failure("the JSON text ends too early")
  }

  mutating func expect(_ byte: UInt8) throws {
    let found = try peek()
    guard found == byte else {
      throw failure("expected '\(Character(Unicode.Scalar(byte)))', found \(Self.name(found))")
    }
    index += 1
  }

  /// Checks that only white space is left.
  /// - Throws: `MartletError` (data).
  package mutating func expectEnd() throws {
    if (try? peek()) != nil { throw failure("more text after the JSON value") }
  }

  static func name(_ byte: UInt8) -> String {
    (0x21...0x7e).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
  }

  /// Calls `body` at each member's value, which it must read. `key` is reused from member to member.
  package mutating func object(key: inout [UInt8], _ body: (inout JSONScanner, [UInt8]) throws -> Void) throws {
    try expect(UInt8(ascii: "{"))
    if try peek() == UInt8(ascii: "}") {
      index += 1
      return
    }
    while true {
      try string(into: &key)
      try expect(UInt8(ascii: ":"))
      try body(&self, key)
      if try peek() == UInt8(ascii: ",") {
        index += 1
        continue
      }
      return try expect(UInt8(ascii: "}"))
    }
  }

  /// Calls `body` at each element, which it must read.
  package mutating func array(_ body: (inout JSONScanner, Int) throws -> Void) throws {
    try expect(UInt8(ascii: "["))
    if try peek() == UInt8(ascii: "]") {
      index += 1
      return
    }
    var position = 0
    while true {
      try body(&self, position)
      position += 1
      if try peek() == UInt8(ascii: ",") {
        index += 1
        continue
      }
      return try expect(UInt8(ascii: "]"))
    }
  }

  /// Reads a string as valid UTF-8, with its escapes resolved.
  package mutating func string(into result: inout [UInt8]) throws {
    result.removeAll(keepingCapacity: true)
    let found = try peek()
    guard found == UInt8(ascii: "\"") else { throw failure("expected a string, found \(Self.name(found))") }
    index += 1
    var start = index
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") {
        result.append(contentsOf: bytes[start..<index])
        index += 1
        return
      }
      if byte == UInt8(ascii: "\\") {
        result.append(contentsOf: bytes[start..<index])
        try escape(into: &result)
        start = index
      } else if byte < 0x20 {
        throw failure("an unescaped control character in a string")
      } else if byte < 0x80 {
        index += 1
      } else {
        let length = UTF8Sequence.validLength(bytes, index)
        guard length > 0 else { throw failure("a string is not valid UTF-8") }
        index += length
      }
    }
    throw failure("the JSON text ends inside a string")
  }

  private mutating func escape(into result: inout [UInt8]) throws {
    guard index + 1 < bytes.count else { throw failure("the JSON text ends inside a string") }
    let kind = bytes[index + 1]
    index += 2
    switch kind {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(kind)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0c)
    case UInt8(ascii: "n"): result.append(0x0a)
    case UInt8(ascii: "r"): result.append(0x0d)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "u"):
      let unit = try hexadecimal()
      if (0xdc00..<0xe000).contains(unit) { throw failure("half of a surrogate pair in a string") }
      guard (0xd800..<0xdc00).contains(unit) else { return appendScalar(unit, to: &result) }
      guard index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u") else {
        throw failure("half of a surrogate pair in a string")
      }
      index += 2
      let second = try hexadecimal()
      guard (0xdc00..<0xe000).contains(second) else { throw failure("half of a surrogate pair in a string") }
      appendScalar(0x10000 + (unit - 0xd800) << 10 + (second - 0xdc00), to: &result)
    default: throw failure("an unknown escape in a string")
    }
  }

  private mutating func hexadecimal() throws -> UInt32 {
    guard index + 4 <= bytes.count else { throw failure("the JSON text ends inside a string") }
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(Unicode.Scalar(bytes[index])).hexDigitValue else {
        throw failure("a \\u escape without four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      index += 1
    }
    return value
  }

  /// Reads a number that may have a fraction and an exponent.
  mutating func number() throws -> JSONValue {
    let first = try peek()
    let start = index
    while index < bytes.count, Self.isNumeric(bytes[index]) { index += 1 }
    guard index > start else { throw failure("expected a value, found \(Self.name(first))") }
    let text = String(decoding: bytes[start..<index], as: UTF8.self)
    guard let value = Double(text), value.isFinite, first != UInt8(ascii: "+"), first != UInt8(ascii: ".") else {
      throw failure("\"\(text.prefix(40))\" is not a number", at: start)
    }
    return .number(value, literal: text)
  }

  private static func isNumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "e"), UInt8(ascii: "E"):
      true
    default: false
    }
  }

  /// Reads a whole number in `0..<limit`. For anything else it returns nil and stays at the value.
  package mutating func wholeNumber(below limit: Int) throws -> Int? {
    _ = try peek()
    let start = index
    var value = 0
    while index < bytes.count, (0x30...0x39).contains(bytes[index]), value < limit {
      value = value * 10 + Int(bytes[index]) - 48
      index += 1
    }
    if index > start, value < limit, index < bytes.count {
      switch bytes[index] {
      case 0x2c, 0x7d, 0x5d, 0x20, 0x0a, 0x0d, 0x09: return value
      default: break
      }
    }
    index = start
    return nil
  }

  /// Reads any value.
  /// - Throws: `MartletError` (data) for what is no JSON, or nested too deeply.
  package mutating func value(depth: Int = 0) throws -> JSONValue {
    guard depth < Self.maximumDepth else { throw failure("values lie more than \(Self.maximumDepth) deep") }
    switch try peek() {
    case UInt8(ascii: "{"):
      var members: [(key: String, value: JSONValue)] = []
      var key: [UInt8] = []
      try object(key: &key) { scanner, key in
        members.append((String(decoding: key, as: UTF8.self), try scanner.value(depth: depth + 1)))
      }
      return .object(members)
    case UInt8(ascii: "["):
      var elements: [JSONValue] = []
      try array { scanner, _ in elements.append(try scanner.value(depth: depth + 1)) }
      return .array(elements)
    case UInt8(ascii: "\""):
      var text: [UInt8] = []
      try string(into: &text)
      return .string(text)
    case UInt8(ascii: "t"):
      try literal("true")
      return .bool(true)
    case UInt8(ascii: "f"):
      try literal("false")
      return .bool(false)
    case UInt8(ascii: "n"):
      try literal("null")
      return .null
    default: return try number()
    }
  }

  private mutating func literal(_ word: StaticString) throws {
    let count = word.utf8CodeUnitCount
    guard index + count <= bytes.count, (0..<count).allSatisfy({ bytes[index + $0] == word.utf8Start[$0] }) else {
      throw failure("expected a value")
    }
    index += count
  }
}

/// Well-formed UTF-8 byte sequences (Unicode Standard, table 3-7).
package enum UTF8Sequence {
  /// The length of the well-formed sequence at `index`, or 0.
  static func validLength(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Int {
    let length = needed(bytes[index])
    guard length > 0, index + length <= bytes.count else { return 0 }
    for offset in 1..<max(length, 1) where !accepts(bytes[index], offset, bytes[index + offset]) { return 0 }
    return length
  }

  /// Bytes in a sequence that starts with `first`; 0 where none does.
  package static func needed(_ first: UInt8) -> Int {
    switch first {
    case 0x00...0x7f: 1
    case 0xc2...0xdf: 2
    case 0xe0...0xef: 3
    case 0xf0...0xf4: 4
    default: 0
    }
  }

  /// Whether `byte` may stand `offset` bytes behind the byte `first`.
  package static func accepts(_ first: UInt8, _ offset: Int, _ byte: UInt8) -> Bool {
    guard offset == 1 else { return byte & 0xc0 == 0x80 }
    return switch first {
    case 0xe0: (0xa0...0xbf).contains(byte)
    case 0xed: (0x80...0x9f).contains(byte)
    case 0xf0: (0x90...0xbf).contains(byte)
    case 0xf4: (0x80...0x8f).contains(byte)
    default: byte & 0xc0 == 0x80
    }
  }
}
