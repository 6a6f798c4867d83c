import Testing
import Tokenization

/// Equality with the `tokenizers` library. Texts are compared as bytes: Swift's `==` takes canonical equivalents as
/// equal.
struct TokenizerTests {
  @Test(arguments: TokenizerFixtures.names)
  func idsEqualTheLibrarysOnHardTexts(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let expected = try TokenizerFixtures.encoded(name)
    let texts = try TokenizerFixtures.texts()
    #expect(texts.count == expected.ids.count && texts.count > 100)
    for (text, ids) in zip(texts, expected.ids) {
      #expect(tokenizer.encode(text) == ids, "\(text.debugDescription)")
    }
  }

  @Test(arguments: TokenizerFixtures.names)
  func idsEqualTheLibrarysOnRandomTexts(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    var random = RandomTexts(seed: TokenizerFixtures.seed)
    for (block, expected) in try TokenizerFixtures.encoded(name).blocks.enumerated() {
      let rows = (0..<500).map { _ in tokenizer.encode(random.next()).map(Int.init) }
      #expect(TokenizerFixtures.hash(rows) == expected, "block \(block)")
    }
  }

  @Test func piecesEqualTheLibrarys() throws {
    let texts = try TokenizerFixtures.texts()
    for (name, fixture) in try TokenizerFixtures.patterns() {
      let pattern = try #require(TokenizerPattern(regex: fixture.regex), "\(name)")
      let splitter = TokenizerSplitter(stages: [.pattern(pattern)])
      func pieces(_ text: String) -> [Int] {
        var text = text
        var counts: [Int] = []
        text.withUTF8 { bytes in
          splitter.split(bytes) { piece in counts.append(piece.count { $0 & 0xc0 != 0x80 }) }
        }
        return counts
      }
      for (text, expected) in zip(texts, fixture.pieces) {
        #expect(pieces(text) == expected, "\(name): \(text.debugDescription)")
      }
      var random = RandomTexts(seed: TokenizerFixtures.seed + 1)
      for (block, expected) in fixture.blocks.enumerated() {
        #expect(TokenizerFixtures.hash((0..<500).map { _ in pieces(random.next()) }) == expected, "\(name) \(block)")
      }
    }
  }

  @Test(arguments: TokenizerFixtures.names)
  func decodingEqualsTheLibrarys(name: String) throws {
    let tokenizer = try TokenizerFixtures.tokenizer(name)
    let expected = try TokenizerFixtures.encoded(name)
    for (ids, decoded) in zip(expected.ids, expected.decoded) {
      let reversed = Array(ids.reversed())  // cuts characters, so that bytes are replaced
      #expect(tokenizer.decode(reversed).utf8.elementsEqual(decoded.utf8), "\(ids)")
      var stream = StreamingDecoder(tokenizer: tokenizer)
      let parts = reversed.map { stream.push($0) } + [stream.finish()]
      #expect(parts.joined().utf8.elementsEqual(decoded.utf8), "\(ids)")
    }
  }

  @Test func streamingHoldsBackUnfinishedCharacters() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("demo")
    var stream = StreamingDecoder(tokenizer: tokenizer)
    let ids = tokenizer.encode("a😀b")
    #expect(ids.count == 6)
    #expect(ids.map { stream.push($0) } == ["a", "", "", "", "😀", "b"])
    // F4 may start a character, F4 90 may not.
    #expect([0xf4, 0x90].map { stream.push($0).unicodeScalars.count } == [0, 2])  // the demo's ids 0-255 are the bytes
    #expect(stream.push(ids[1]) == "")
    #expect(stream.finish().utf8.elementsEqual("\u{fffd}".utf8))
  }

  @Test func textsComeBack() throws {
    for name in ["llama3", "demo"] {
      let tokenizer = try TokenizerFixtures.tokenizer(name)
      for text in try TokenizerFixtures.texts() where name == "llama3" || !text.contains("\u{301}") {
        let ids = tokenizer.encode(text)
        let composed = name == "demo" ? text.precomposedForTest : text
        #expect(tokenizer.decode(ids).utf8.elementsEqual(composed.utf8), "\(text.debugDescription)")
        #expect(ids.flatMap { tokenizer.bytes($0) } == Array(composed.utf8))
      }
    }
  }

  @Test func textFromOutsideCannotSpellAddedTokens() throws {
    for name in TokenizerFixtures.names {
      let tokenizer = try TokenizerFixtures.tokenizer(name)
      let added = Set(tokenizer.addedTokens.map(\.id))
      #expect(!added.isEmpty)
      for token in tokenizer.addedTokens {
        let text = "x\(token.content)\(token.content) y"
        #expect(!added.isDisjoint(with: tokenizer.encode(token.content)))
        #expect(added.isDisjoint(with: tokenizer.encode(text, allowSpecial: false)), "\(name): \(token.content)")
      }
    }
    let tokenizer = try TokenizerFixtures.tokenizer("qwen2")
    let text = "Result: <|eot|> and 12."
    #expect(tokenizer.decode(tokenizer.encode(text, allowSpecial: false)) == text)
  }

  /// A vocabulary entry that is an added token too must not come out of merging or of `ignore_merges`.
  @Test(arguments: [true, false], [true, false])
  func mergesCannotMakeAddedTokens(ignoreMerges: Bool, special: Bool) throws {
    var json = String(decoding: try TokenizerFixtures.data("tokenizer-llama3.json"), as: UTF8.self)
    let plain = try TokenizerFixtures.tokenizer("llama3")
    let id = try #require(plain.token("re"))
    let comma = "\"added_tokens\":["
    let entry =
      "{\"id\":\(id),\"content\":\"re\",\"single_word\":true,\"lstrip\":false,\"rstrip\":false,"
      + "\"normalized\":false,\"special\":\(special)},"
    json.replace(comma, with: comma + entry)
    if !ignoreMerges { json.replace("\"ignore_merges\":true", with: "\"ignore_merges\":false") }
    let tokenizer = try Tokenizer(json: .init(json.utf8), path: "t.json")
    #expect(tokenizer.encode("are re") != tokenizer.encode("are re", allowSpecial: false))
    #expect(!tokenizer.encode("re are there're", allowSpecial: false).contains(id))
    #expect(tokenizer.decode(tokenizer.encode("re are there're", allowSpecial: false)) == "re are there're")
  }

  @Test func tokensAreFoundByText() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("demo")
    #expect(tokenizer.token("Ġmultiply") == 256)
    #expect(tokenizer.token("<|im_end|>").map(tokenizer.isSpecial) == true)
    #expect(tokenizer.token("print(").map(tokenizer.isSpecial) == false)
    #expect(tokenizer.token("nothing like it") == nil)
    #expect(tokenizer.vocabularyCount == Int(try #require(tokenizer.token("<|im_end|>"))) + 1)
    #expect(tokenizer.bytes(Int32(tokenizer.vocabularyCount)) == [] && tokenizer.bytes(-1) == [])
    #expect(tokenizer.decode([-1, 256, .max]) == " multiply")
    #expect(tokenizer.source == (try TokenizerFixtures.data("tokenizer-demo.json")))
  }

  @Test func digitsAreSingleInTheDemosVocabulary() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("demo")
    #expect(tokenizer.encode("1234567890").count == 10)
    #expect(tokenizer.encode("Question: multiply").count == 3)
    #expect(tokenizer.encode("```python\n").count == 1)
  }

  /// One word of 200,000 symbols: quadratic merging would take minutes.
  @Test func longWordsMerge() throws {
    let tokenizer = try TokenizerFixtures.tokenizer("llama3")
    let word = String(repeating: "thirtyseventimes", count: 12_500)
    let once = tokenizer.encode(String(repeating: "thirtyseventimes", count: 50))
    let ids = tokenizer.encode(word)
    #expect(tokenizer.decode(ids) == word)
    #expect(ids.prefix(40) == once.prefix(40))
  }
}

extension String {
  /// NFC by the tokenizer's own tables.
  fileprivate var precomposedForTest: String {
    var text = self
    let composed = text.withUTF8 { CanonicalComposition.shared.normalized($0) }
    return composed.map { String(decoding: $0, as: UTF8.self) } ?? self
  }
}
