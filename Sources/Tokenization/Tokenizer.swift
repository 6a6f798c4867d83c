import Foundation
import Support

/// Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909; bytes as in GPT-2) from a Hugging Face
/// `tokenizer.json`. Ids equal those of the `tokenizers` library's `encode(text, add_special_tokens=False)`; the file's
/// truncation and padding are not applied, and of its post-processor only ``beginTokens`` is read.
public final class Tokenizer: Sendable {
  /// The file as it was read, for export.
  public let source: Data
  /// The largest id + 1.
  public let vocabularyCount: Int
  /// The file's added tokens, in its order.
  public let addedTokens: [AddedToken]
  /// What the file's post-processor puts before a text; nil where it has none that adds tokens.
  public var beginTokens: [Int32]? { parts.beginTokens }

  let parts: TokenizerParts
  private let specialIDs: Set<Int32>
  private let addedIDs: Set<Int32>

  /// - Parameters:
  ///   - json: the contents of tokenizer.json.
  ///   - path: the file's name, for messages.
  /// - Throws: `MartletError` (`data`) that names the file, the field and the remedy: for text that is not JSON, for
  ///   inconsistent vocabularies, and for kinds of tokenizer other than byte-level BPE.
  public init(json: Data, path: String) throws {
    parts = try json.withUnsafeBytes { try TokenizerParts(json: $0.bindMemory(to: UInt8.self), path: path) }
    source = json
    addedTokens = parts.addedTokens
    vocabularyCount = parts.tokens.count
    specialIDs = Set(addedTokens.filter(\.special).map(\.id))
    addedIDs = Set(addedTokens.map(\.id))
  }

  /// Encodes text.
  /// - Parameter allowSpecial: false keeps added tokens from being matched, so that text from outside (what a program
  ///   printed) cannot end a turn: their spelling is encoded as plain characters and their ids never occur.
  public func encode(_ text: String, allowSpecial: Bool = true) -> [Int32] {
    var text = text
    return text.withUTF8 { encode($0, allowSpecial: allowSpecial) }
  }

  /// Encodes text given as valid UTF-8.
  func encode(_ text: UnsafeBufferPointer<UInt8>, allowSpecial: Bool) -> [Int32] {
    var encoder = TokenizerEncoder(parts: parts, forbidden: allowSpecial ? [] : addedIDs)
    encoder.output.reserveCapacity(text.count / 3)
    guard allowSpecial else {
      encoder.encodeNormalizing(text, matching: nil)
      return encoder.output
    }
    parts.rawMatcher.split(
      text,
      text: { encoder.encodeNormalizing(UnsafeBufferPointer(rebasing: text[$0]), matching: parts.normalizedMatcher) },
      token: { encoder.output.append($0) })
    return encoder.output
  }

  /// The text of ids, special tokens included; ids without a token give nothing, bytes that are not UTF-8 give U+FFFD.
  public func decode(_ ids: [Int32]) -> String {
    var bytes: [UInt8] = []
    for id in ids { bytes.append(contentsOf: parts.tokens[id]) }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The bytes a token stands for; none for ids without a token.
  public func bytes(_ id: Int32) -> [UInt8] { Array(parts.tokens[id]) }

  /// The id of an added token by its content, or of a vocabulary entry as the file spells it (" the" is "Ġthe").
  public func token(_ text: String) -> Int32? {
    if let added = addedTokens.first(where: { $0.content.utf8.elementsEqual(text.utf8) }) { return added.id }
    var text = text
    return text.withUTF8 { parts.vocabulary.find(spelling: $0) }
  }

  /// Whether transformers' Qwen2Tokenizer, which takes only vocabulary and merges from the file, gives the same ids.
  public var isQwen2Form: Bool {
    parts.normalizes && !parts.ignoresMerges && parts.splitter.stages == [.pattern(.qwen2)]
  }

  /// Whether the id is that of an added token, marked special or not.
  public func isAdded(_ id: Int32) -> Bool { addedIDs.contains(id) }

  /// Whether the id is that of an added token marked special.
  public func isSpecial(_ id: Int32) -> Bool { specialIDs.contains(id) }
}

/// Encodes the parts of one text, remembering the words it has met.
struct TokenizerEncoder {
  let parts: TokenizerParts
  let forbidden: Set<Int32>
  var output: [Int32] = []
  private var known = ByteStringTable(capacity: 64)
  private var places: [Range<Int>] = []  // of a known word's ids in the output
  private var symbols: [Int32] = []
  private var merger = WordMerger()

  init(parts: TokenizerParts, forbidden: Set<Int32>) {
    self.parts = parts
    self.forbidden = forbidden
  }

  mutating func encodeNormalizing(_ text: UnsafeBufferPointer<UInt8>, matching matcher: AddedTokenMatcher?) {
    if parts.normalizes, let normalized = CanonicalComposition.shared.normalized(text) {
      normalized.withUnsafeBufferPointer { encodeMatching($0, matcher) }
    } else {
      encodeMatching(text, matcher)
    }
  }

  private mutating func encodeMatching(_ text: UnsafeBufferPointer<UInt8>, _ matcher: AddedTokenMatcher?) {
    guard let matcher, !matcher.isEmpty else { return encodePlain(text) }
    var pieces: [(Range<Int>, Int32)] = []
    matcher.split(text, text: { pieces.append(($0, -1)) }, token: { pieces.append((0..<0, $0)) })
    for (range, id) in pieces {
      if id >= 0 { output.append(id) } else { encodePlain(UnsafeBufferPointer(rebasing: text[range])) }
    }
  }

  private mutating func encodePlain(_ text: UnsafeBufferPointer<UInt8>) {
    parts.splitter.split(text) { encodeWord($0) }
  }

  private mutating func encodeWord(_ word: UnsafeBufferPointer<UInt8>) {
    if let entry = known.insert(word, Int32(places.count)) {
      for place in places[Int(entry)] { output.append(output[place]) }  // a slice would hold the buffer: a copy a word
      return
    }
    let start = output.count
    if parts.ignoresMerges, let id = parts.vocabulary.find(bytes: word), !forbidden.contains(id) {
      output.append(id)
    } else {
      symbols.removeAll(keepingCapacity: true)
      for byte in word where parts.byteIDs[Int(byte)] >= 0 { symbols.append(parts.byteIDs[Int(byte)]) }
      merger.merge(&symbols, parts.merges, forbidden: forbidden)
      output.append(contentsOf: symbols)
    }
    places.append(start..<output.count)
  }
}
