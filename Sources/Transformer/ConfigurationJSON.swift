import Foundation
import Support

/// A parsed `config.json`, whose every complaint names the file and the key.
struct ConfigurationJSON {
  typealias Value = PlainValue

  let path: String
  let prefix: String
  let values: [String: Value]

  init(path: String, prefix: String = "", values: [String: Value]) {
    self.path = path
    self.prefix = prefix
    self.values = values
  }

  init(_ data: Data, path: String) throws {
    do {
      guard case .object(let values) = try JSONDecoder().decode(Value.self, from: data) else {
        throw MartletError(.data, "\(path): is not a JSON object; give the model's own config.json")
      }
      self.init(path: path, values: values)
    } catch let error as MartletError {
      throw error
    } catch {
      throw MartletError(.data, "\(path): is not valid JSON (\(data.count) bytes); copy the file again")
    }
  }

  func fail(_ key: String, _ message: String, status: MartletError.Status = .data) -> MartletError {
    MartletError(status, "\(path): \(prefix)\(key): \(message)")
  }

  /// nil where the key is absent or null.
  subscript(key: String) -> Value? { values[key].flatMap { $0 == .null ? nil : $0 } }

  func integer(_ key: String) throws -> Int? {
    guard let value = self[key] else { return nil }
    switch value {
    case .integer(let integer): return integer
    case .number(let number) where number == number.rounded() && abs(number) < 1e15: return Int(number)
    default: throw fail(key, "\(value.shown) is not a whole number; correct the file")
    }
  }

  func requiredInteger(_ key: String) throws -> Int {
    guard let value = try integer(key) else {
      throw fail(key, "is missing; it must be a whole number, as in the model's published config.json")
    }
    return value
  }

  func number(_ key: String) throws -> Double? {
    guard let value = self[key] else { return nil }
    switch value {
    case .integer(let integer): return Double(integer)
    case .number(let number): return number
    default: throw fail(key, "\(value.shown) is not a number; correct the file")
    }
  }

  func bool(_ key: String) throws -> Bool? {
    guard let value = self[key] else { return nil }
    guard case .bool(let bool) = value else { throw fail(key, "\(value.shown) is not true or false; correct the file") }
    return bool
  }

  func text(_ key: String) throws -> String? {
    guard let value = self[key] else { return nil }
    guard case .text(let text) = value else { throw fail(key, "\(value.shown) is not a string; correct the file") }
    return text
  }

  func list(_ key: String) throws -> [Value]? {
    guard let value = self[key] else { return nil }
    guard case .list(let list) = value else { throw fail(key, "\(value.shown) is not a list; correct the file") }
    return list
  }

  func object(_ key: String) throws -> ConfigurationJSON? {
    guard let value = self[key] else { return nil }
    guard case .object(let values) = value else {
      throw fail(key, "\(value.shown) is not an object; correct the file")
    }
    return ConfigurationJSON(path: path, prefix: "\(prefix)\(key).", values: values)
  }

  /// One id, a list of ids, or none.
  func tokens(_ key: String) throws -> [Int32] {
    guard let value = self[key] else { return [] }
    let items: [Value] = if case .list(let list) = value { list } else { [value] }
    return try items.map { item in
      guard case .integer(let id) = item, let token = Int32(exactly: id), token >= 0 else {
        throw fail(key, "\(item.shown) is not a token id; it must be one id or a list of ids")
      }
      return token
    }
  }
}
