/// Writes `Encodable` values as one line of JSON: keys in the order they are encoded, numbers in their shortest
/// round-trip form. (Foundation's encoder keeps no order.)
struct JSONWriter {
  private(set) var bytes: [UInt8] = []

  /// - Throws: `EncodingError` for numbers that are not finite.
  static func line(_ value: some Encodable) throws -> [UInt8] {
    let root = JSONNode()
    try value.encode(to: JSONNodeEncoder(node: root, codingPath: []))
    var writer = JSONWriter()
    writer.write(root)
    writer.bytes.append(0x0A)
    return writer.bytes
  }

  private mutating func write(_ node: JSONNode) {
    switch node.value {
    case .null: bytes += "null".utf8
    case .literal(let text): bytes += text.utf8
    case .text(let text): write(text)
    case .list(let nodes):
      bytes.append(UInt8(ascii: "["))
      for (index, node) in nodes.enumerated() {
        if index > 0 { bytes += ", ".utf8 }
        write(node)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let pairs):
      bytes.append(UInt8(ascii: "{"))
      for (index, (key, node)) in pairs.enumerated() {
        if index > 0 { bytes += ", ".utf8 }
        write(key)
        bytes += ": ".utf8
        write(node)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private mutating func write(_ text: String) {
    let digits = Array("0123456789abcdef".utf8)
    bytes.append(0x22)
    for byte in text.utf8 {
      switch byte {
      case 0x22, 0x5C: bytes += [0x5C, byte]
      case 0x0A: bytes += "\\n".utf8
      case 0x0D: bytes += "\\r".utf8
      case 0x09: bytes += "\\t".utf8
      case 0..<0x20, 0x7F: bytes += "\\u00".utf8 + [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      default: bytes.append(byte)
      }
    }
    bytes.append(0x22)
  }

  /// The shortest text that reads back as `value`, whole numbers without ".0".
  static func number<F: BinaryFloatingPoint & LosslessStringConvertible>(_ value: F) -> String {
    let text = value.description
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

/// A JSON value under construction.
private final class JSONNode {
  enum Value {
    case null
    case literal(String)
    case text(String)
    case list([JSONNode])
    case object([(String, JSONNode)])
  }
  var value = Value.null

  init(_ value: Value = .null) { self.value = value }

  func append(_ node: JSONNode) {
    guard case .list(var nodes) = value else { return }
    value = .null  // the array is not copied
    nodes.append(node)
    value = .list(nodes)
  }

  func append(_ key: String, _ node: JSONNode) {
    guard case .object(var pairs) = value else { return }
    value = .null
    pairs.append((key, node))
    value = .object(pairs)
  }
}

private struct JSONNodeEncoder: Encoder {
  let node: JSONNode
  let codingPath: [any CodingKey]
  var userInfo: [CodingUserInfoKey: Any] { [:] }

  func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
    if case .object = node.value {} else { node.value = .object([]) }
    return KeyedEncodingContainer(JSONObjectEncoder<Key>(node: node, codingPath: codingPath))
  }

  func unkeyedContainer() -> any UnkeyedEncodingContainer {
    node.value = .list([])
    return JSONListEncoder(node: node, codingPath: codingPath)
  }

  func singleValueContainer() -> any SingleValueEncodingContainer {
    JSONValueEncoder(node: node, codingPath: codingPath)
  }
}

private struct JSONValueEncoder: SingleValueEncodingContainer {
  let node: JSONNode
  let codingPath: [any CodingKey]

  mutating func encodeNil() { node.value = .null }

  mutating func encode(_ value: some Encodable) throws { try Self.fill(node, value, codingPath) }

  static func fill(_ node: JSONNode, _ value: some Encodable, _ path: [any CodingKey]) throws {
    switch value {
    case let text as String: node.value = .text(text)
    case let ids as [Int32]: node.value = .literal("[" + ids.lazy.map(String.init).joined(separator: ", ") + "]")
    case let flag as Bool: node.value = .literal(flag ? "true" : "false")
    case let number as Double: node.value = .literal(try finite(number, path))
    case let number as Float: node.value = .literal(try finite(number, path))
    case let number as Int32: node.value = .literal(String(number))
    case let number as Int: node.value = .literal(String(number))
    case let number as any BinaryInteger: node.value = .literal("\(number)")
    default: try value.encode(to: JSONNodeEncoder(node: node, codingPath: path))
    }
  }

  private static func finite<F: BinaryFloatingPoint & LosslessStringConvertible>(
    _ value: F, _ path: [any CodingKey]
  ) throws -> String {
    guard value.isFinite else {
      throw EncodingError.invalidValue(value, .init(codingPath: path, debugDescription: "\(value) is not a number"))
    }
    return JSONWriter.number(value)
  }
}

private struct JSONListEncoder: UnkeyedEncodingContainer {
  let node: JSONNode
  let codingPath: [any CodingKey]
  var count: Int {
    if case .list(let nodes) = node.value { nodes.count } else { 0 }
  }

  private func add(_ child: JSONNode = JSONNode()) -> JSONNode {
    node.append(child)
    return child
  }

  mutating func encodeNil() { _ = add() }
  mutating func encode(_ value: some Encodable) throws { try JSONValueEncoder.fill(add(), value, codingPath) }
  mutating func nestedContainer<Key: CodingKey>(keyedBy: Key.Type) -> KeyedEncodingContainer<Key> {
    JSONNodeEncoder(node: add(), codingPath: codingPath).container(keyedBy: keyedBy)
  }
  mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer {
    JSONNodeEncoder(node: add(), codingPath: codingPath).unkeyedContainer()
  }
  mutating func superEncoder() -> any Encoder { JSONNodeEncoder(node: add(), codingPath: codingPath) }
}

private struct JSONObjectEncoder<Key: CodingKey>: KeyedEncodingContainerProtocol {
  let node: JSONNode
  let codingPath: [any CodingKey]

  private func add(_ key: any CodingKey) -> JSONNode {
    let child = JSONNode()
    node.append(key.stringValue, child)
    return child
  }

  mutating func encodeNil(forKey key: Key) { _ = add(key) }
  mutating func encode(_ value: some Encodable, forKey key: Key) throws {
    try JSONValueEncoder.fill(add(key), value, codingPath + [key])
  }
  mutating func nestedContainer<Nested: CodingKey>(
    keyedBy: Nested.Type, forKey key: Key
  ) -> KeyedEncodingContainer<Nested> {
    JSONNodeEncoder(node: add(key), codingPath: codingPath + [key]).container(keyedBy: keyedBy)
  }
  mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
    JSONNodeEncoder(node: add(key), codingPath: codingPath + [key]).unkeyedContainer()
  }
  mutating func superEncoder() -> any Encoder { JSONNodeEncoder(node: node, codingPath: codingPath) }
  mutating func superEncoder(forKey key: Key) -> any Encoder {
    JSONNodeEncoder(node: add(key), codingPath: codingPath + [key])
  }
}
