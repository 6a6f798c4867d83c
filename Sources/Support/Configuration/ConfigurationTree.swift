import Foundation
import Yams

/// A tree of keys and values. YAML files, `--set` and the defaults are merged in this form.
package indirect enum ConfigurationTree: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(Int)
  /// A whole number above `Int.max`: seeds go that far.
  case unsigned(UInt64)
  case number(Double)
  case text(String)
  case list([ConfigurationTree])
  /// Keys in order.
  case map([(key: String, value: ConfigurationTree)])

  package static func == (a: ConfigurationTree, b: ConfigurationTree) -> Bool { a.json == b.json }

  /// Reads one YAML document. Anchors are refused; merge keys and tags are not expanded.
  /// - Throws: `MartletError` (configuration) with the line.
  package init(yaml: String, path: String) throws {
    do {
      // A node knows its anchor only while the parser lives.
      let parser = try Yams.Parser(yaml: yaml)
      self = try withExtendedLifetime(parser) {
        try parser.singleRoot().map { try Self.convert($0, path: path) } ?? .map([])
      }
    } catch let error as YamlError {
      throw MartletError(.configuration, "\(path): not YAML: \(String(describing: error)); mend the file")
    }
  }

  /// The value of one scalar. Quoted, it is text; plain, it may be null, a truth value or a number.
  package init(scalar: String, quoted: Bool = false) {
    if quoted {
      self = .text(scalar)
      return
    }
    switch scalar {
    case "", "~", "null": self = .null
    case "true": self = .bool(true)
    case "false": self = .bool(false)
    default:
      let plain = scalar.replacing("_", with: "")
      if let integer = Int(plain), plain.first?.isLetter == false {
        self = .integer(integer)
      } else if let unsigned = UInt64(plain) {
        self = .unsigned(unsigned)
      } else if let number = Double(plain), plain.contains(where: \.isNumber), !plain.lowercased().hasPrefix("0x") {
        self = .number(number)
      } else {
        self = .text(scalar)
      }
    }
  }

  private static func convert(_ node: Node, path: String) throws -> ConfigurationTree {
    // The parser has already expanded every alias: nine anchors can make a thousand million nodes.
    if node.anchor != nil {
      throw MartletError(.configuration, "\(path)\(line(node)): anchors and aliases are not supported; write it out")
    }
    switch node {
    case .scalar(let scalar):
      return ConfigurationTree(scalar: scalar.string, quoted: scalar.style != .plain && scalar.style != .any)
    case .sequence(let sequence): return .list(try sequence.map { try convert($0, path: path) })
    case .mapping(let mapping):
      var entries: [(key: String, value: ConfigurationTree)] = []
      for (key, value) in mapping {
        guard case .scalar(let name) = key else {
          throw MartletError(.configuration, "\(path)\(line(key)): a key must be a word")
        }
        entries.append((name.string, try convert(value, path: path)))
      }
      return .map(entries)
    case .alias:
      throw MartletError(.configuration, "\(path)\(line(node)): anchors and aliases are not supported; write it out")
    }
  }

  private static func line(_ node: Node) -> String { node.mark.map { ":\($0.line)" } ?? "" }

  /// The tree of a coded value; nil values are absent.
  package init(encoding value: some Encodable) throws {
    let data = try JSONEncoder().encode(value)
    self = Self.convert(try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed))
  }

  /// The tree of an object that JSONSerialization read.
  package init(json value: Any) { self = Self.convert(value) }

  private static func convert(_ value: Any) -> ConfigurationTree {
    switch value {
    case let list as [Any]: return .list(list.map(convert))
    case let map as [String: Any]:
      return .map(map.keys.sorted().map { ($0, convert(map[$0]!)) })
    case let text as String: return .text(text)
    case let number as NSNumber:
      if CFGetTypeIDIsBoolean(number) { return .bool(number.boolValue) }
      if let integer = Int(exactly: number) { return .integer(integer) }
      if let unsigned = UInt64(exactly: number) { return .unsigned(unsigned) }
      return .number(number.doubleValue)
    default: return .null
    }
  }

  /// The value of `key`; nil where this is no section, or has no such key.
  package subscript(key: String) -> ConfigurationTree? {
    guard case .map(let entries) = self else { return nil }
    return entries.first { $0.key == key }?.value
  }

  /// Sets the value at `path`; sections that are missing on the way are made.
  package mutating func set(_ path: [String], to value: ConfigurationTree) {
    guard let first = path.first else {
      self = value
      return
    }
    var entries: [(key: String, value: ConfigurationTree)] = []
    if case .map(let there) = self { entries = there }
    let place = entries.firstIndex { $0.key == first }
    var child = place.map { entries[$0].value } ?? .map([])
    child.set(Array(path.dropFirst()), to: value)
    if let place { entries[place].value = child } else { entries.append((first, child)) }
    self = .map(entries)
  }

  /// This tree with the values of `other` over it, section by section.
  package func merged(with other: ConfigurationTree) -> ConfigurationTree {
    guard case .map(let mine) = self, case .map(let theirs) = other else { return other }
    var result = mine
    for (key, value) in theirs {
      if let place = result.firstIndex(where: { $0.key == key }) {
        result[place].value = result[place].value.merged(with: value)
      } else {
        result.append((key, value))
      }
    }
    return .map(result)
  }

  /// As JSON text, for Foundation's decoder.
  package var json: String {
    switch self {
    case .null: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return String(value)
    case .unsigned(let value): return String(value)
    case .number(let value): return value.isFinite ? "\(value)" : "null"
    case .text(let value): return Self.quoted(value)
    case .list(let values): return "[" + values.map(\.json).joined(separator: ",") + "]"
    case .map(let entries):
      return "{" + entries.map { Self.quoted($0.key) + ":" + $0.value.json }.joined(separator: ",") + "}"
    }
  }

  /// As JSON on several lines, for files that people read.
  package func prettyJSON(_ indent: String = "") -> String {
    let deeper = indent + "  "
    func lines(_ items: [String], _ open: String, _ close: String) -> String {
      items.isEmpty
        ? open + close
        : "\(open)\n" + items.map { deeper + $0 }.joined(separator: ",\n") + "\n\(indent)\(close)"
    }
    switch self {
    case .list(let values): return lines(values.map { $0.prettyJSON(deeper) }, "[", "]")
    case .map(let entries):
      return lines(entries.map { "\(Self.quoted($0.key)): \($0.value.prettyJSON(deeper))" }, "{", "}")
    default: return json
    }
  }

  private static func quoted(_ text: String) -> String {
    let data = try? JSONSerialization.data(
      withJSONObject: text, options: [.fragmentsAllowed, .withoutEscapingSlashes])
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
  }

  /// As YAML text that `init(yaml:path:)` reads back to the same tree.
  package func yaml(indent: String = "") -> String {
    guard case .map(let entries) = self else { return indent + json + "\n" }
    var text = ""
    for (key, value) in entries {
      switch value {
      case .map(let inner) where !inner.isEmpty:
        text += "\(indent)\(key):\n" + value.yaml(indent: indent + "  ")
      case .null: text += "\(indent)\(key): null\n"
      default: text += "\(indent)\(key): \(value.json)\n"
      }
    }
    return text
  }

  /// What kind of value this is, for messages.
  package var kindName: String {
    switch self {
    case .null: "nothing"
    case .bool(let value): "the truth value \(value)"
    case .integer(let value): "the whole number \(value)"
    case .unsigned(let value): "the whole number \(value)"
    case .number(let value): "the number \(value)"
    case .text(let value): "the text \"\(value)\""
    case .list: "a list"
    case .map: "a section"
    }
  }
}

/// JSONSerialization gives truth values as numbers whose Objective-C type is a char.
private func CFGetTypeIDIsBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
