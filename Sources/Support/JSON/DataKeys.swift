/// A line of a data file whose unknown keys are errors, as in a configuration.
package protocol DataLine: Decodable {
  /// All keys that are read.
  static var keys: [String] { get }
  /// Keys that may stand beside them and are not used.
  static var ignoredKeys: Set<String> { get }
}

extension DataLine {
  /// The keys that every data line may have.
  package static var ignoredKeys: Set<String> { DataKeys.ignored }
}

/// A value whose line has been checked for unknown keys, where its type asks for that.
struct CheckedLine<Value: Decodable>: Decodable {
  let value: Value

  init(from decoder: any Decoder) throws {
    if let type = Value.self as? any DataLine.Type {
      try DataKeys.check(decoder, known: type.keys, ignored: type.ignoredKeys)
    }
    value = try Value(from: decoder)
  }
}

/// Keys of data lines: what is read, what may stand beside it, and what is refused.
package enum DataKeys {
  /// Where a line comes from and what it is about: allowed in every line, and not used.
  package static let ignored: Set<String> = [
    "id", "unique_id", "uuid", "problem_id", "question_id", "idx", "index", "source", "data_source", "dataset", "split",
    "url", "license", "level", "difficulty", "type", "problem_type", "question_type", "style", "subject", "category",
    "topic", "domain", "ability", "tags", "metadata", "meta", "extra_info", "comment",
  ]

  /// A worked solution beside a problem and its answer, as MATH has it: allowed in files of problems, and not used.
  package static let ignoredInProblems: Set<String> = ignored.union(["solution"])

  /// - Throws: `DecodingError` for the first key, in alphabetical order, that is neither known nor ignored.
  package static func check(
    _ decoder: any Decoder, known: [String], ignored: Set<String> = DataKeys.ignored
  ) throws {
    let keys = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
    guard let key = keys.sorted().first(where: { !known.contains($0) && !ignored.contains($0) }) else { return }
    throw DecodingError.dataCorrupted(
      .init(
        codingPath: decoder.codingPath + [AnyKey(stringValue: key)],
        debugDescription: String(unknownKey(key, among: known).dropFirst(key.count + 2))))
  }

}

/// A key with any name, for objects whose keys are data.
package struct AnyKey: CodingKey {
  /// The key as it is written.
  package let stringValue: String
  /// Always nil: an object's keys are text.
  package var intValue: Int? { nil }

  /// A key of that name.
  package init(stringValue: String) { self.stringValue = stringValue }
  /// Always nil.
  package init?(intValue: Int) { nil }
}

/// "KEY: is unknown here; ..." with the nearest name, or all.
package func unknownKey(_ key: String, among known: [String]) -> String {
  let advice =
    nearestWord(to: key, among: known).map { "did you mean \($0)?" }
    ?? "known are \(known.sorted().joined(separator: ", "))"
  return "\(key): is unknown here; \(advice)"
}

/// The word with the fewest changed letters, if it is near at all.
package func nearestWord(to word: String, among words: [String]) -> String? {
  func distance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for i in a.indices {
      var corner = row[0]
      row[0] = i + 1
      for j in b.indices {
        let change = corner + (a[i] == b[j] ? 0 : 1)
        corner = row[j + 1]
        row[j + 1] = min(change, row[j] + 1, corner + 1)
      }
    }
    return row[b.count]
  }
  let ranked = words.sorted().map { ($0, distance(Array(word), Array($0))) }
  guard let best = ranked.min(by: { $0.1 < $1.1 }), best.1 <= max(2, word.count / 3) else { return nil }
  return best.0
}
