import Support

/// Numbers by name, written in the order of the names, so that equal ones make equal files.
public struct NamedNumbers: Codable, Sendable, Equatable {
  /// The numbers by name.
  public var values: [String: Double]

  /// Numbers by name.
  public init(_ values: [String: Double]) { self.values = values }

  public init(from decoder: any Decoder) throws {
    values = try decoder.singleValueContainer().decode([String: Double].self)
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: AnyKey.self)
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      try container.encode(value, forKey: AnyKey(stringValue: name))
    }
  }
}
