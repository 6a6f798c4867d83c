import Foundation
import Support
import Testing
import Tokenization

/// Bad tokenizer.json files: a message with file, field and remedy, never a crash.
struct TokenizerFileTests {
  private static let decoder = #""decoder":{"type":"ByteLevel"}"#
  private static let split = #""pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}"#
  private static let model = #""model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}"#

  private func failure(_ json: String) throws -> MartletError {
    try #require(throws: MartletError.self) { try Tokenizer(json: Data(json.utf8), path: "folder/tokenizer.json") }
  }

  @Test func theSmallestFileLoads() throws {
    let json = "{\(Self.decoder),\(Self.split),\(Self.model)}"
    #expect(try Tokenizer(json: Data(json.utf8), path: "t").encode("abba") == [2, 1, 0])
    let mergesFirst =
      #"{"decoder":{"type":"ByteLevel"},"pre_tokenizer":{"type":"ByteLevel"},"#
      + #""model":{"merges":[["a","b"]],"vocab":{"a":0,"b":1,"ab":2}}}"#
    #expect(try Tokenizer(json: Data(mergesFirst.utf8), path: "t").encode("abba") == [2, 1, 0])
  }

  /// "ab" waits behind "bc"; once "bc" is made, "a bc" must wait for its own turn, which "bc d" comes before.
  @Test func mergesKeepTheirRank() throws {
    let model =
      #""model":{"vocab":{"a":0,"b":1,"c":2,"d":3,"bc":4,"ab":5,"bcd":6,"abc":7},"#
      + #""merges":["b c","a b","bc d","a bc"]}"#
    let tokenizer = try Tokenizer(json: Data("{\(Self.decoder),\(Self.split),\(model)}".utf8), path: "t")
    #expect(tokenizer.encode("abcd") == [0, 6])
    #expect(tokenizer.encode("abc") == [7])
  }

  @Test func theLongestAddedTokenCounts() throws {
    let added = #""added_tokens":[{"id":3,"content":"<x","special":true},{"id":4,"content":"<x>","special":true}]"#
    let json = "{\(Self.decoder),\(Self.split),\(Self.model),\(added)}"
    let tokenizer = try Tokenizer(json: Data(json.utf8), path: "t")
    #expect(tokenizer.encode("ab<x>a<xb<x<x>") == [2, 4, 0, 3, 1, 3, 4])
  }

  @Test(arguments: [
    (#""model":{"type":"Unigram","vocab":[["a",0]]}"#, "model.type", "not supported"),
    (#""model":{"type":"WordPiece","vocab":{"a":0}}"#, "model.type", "WordPiece"),
    (#""model":{"type":"BPE","merges":[]}"#, "model.vocab", "missing"),
    (#""model":{"type":"BPE","vocab":{"a":0}}"#, "model.merges", "missing"),
    (#""model":{"type":"BPE","vocab":[],"merges":[]}"#, "model.vocab", "an array, not an object"),
    (#""model":{"type":"BPE","vocab":{"a":0},"merges":{}}"#, "model.merges", "an object, not an array"),
    (#""model":{"type":7,"vocab":{"a":0},"merges":[]}"#, "model.type", "a number, not a string"),
    (#""model":[]"#, "model", "not an object"),
    (#""model":{"vocab":{"a":-1},"merges":[]}"#, #"model.vocab["a"]"#, "-1"),
    (#""model":{"vocab":{"a":0.5},"merges":[]}"#, #"model.vocab["a"]"#, "0.5"),
    (#""model":{"vocab":{"a":99999999999999999999999},"merges":[]}"#, #"model.vocab["a"]"#, "whole number"),
    (#""model":{"vocab":{"a":4194304},"merges":[]}"#, #"model.vocab["a"]"#, "below 4194304"),
    (#""model":{"vocab":{"a":"0"},"merges":[]}"#, #"model.vocab["a"]"#, "a string, not a number"),
    (#""model":{"vocab":{"a":0,"b":0},"merges":[]}"#, #"model.vocab["b"]"#, "another token"),
    (#""model":{"vocab":{"a":0,"a":1},"merges":[]}"#, #"model.vocab["a"]"#, "twice"),
    (#""model":{"vocab":{"a":0,"b":1},"merges":["a b"]}"#, "model.merges[0]", #""ab" is not in model.vocab"#),
    (#""model":{"vocab":{"a":0,"aa":1},"merges":["a a","a c"]}"#, "model.merges[1]", #""c" is not in model.vocab"#),
    (#""model":{"vocab":{"a":0},"merges":["aa"]}"#, "model.merges[0]", "two tokens"),
    (#""model":{"vocab":{"a":0},"merges":["a a a"]}"#, "model.merges[0]", "two tokens"),
    (#""model":{"vocab":{"a":0},"merges":[["a"]]}"#, "model.merges[0]", "pair"),
    (#""model":{"vocab":{"a":0},"merges":[["a","a","a"]]}"#, "model.merges[0]", "pair"),
    (#""model":{"vocab":{"a":0},"merges":[7]}"#, "model.merges[0]", "a number"),
    (#""model":{"vocab":{"a":0},"merges":[],"byte_fallback":true}"#, "model.byte_fallback", "not supported"),
    (#""model":{"vocab":{"a":0},"merges":[],"unk_token":"a"}"#, "model.unk_token", "not supported"),
    (#""model":{"vocab":{"a":0},"merges":[],"dropout":0.1}"#, "model.dropout", "not supported"),
    (#""model":{"vocab":{"a":0},"merges":[],"end_of_word_suffix":"</w>"}"#, "model.end_of_word_suffix", "affix"),
    (#""model":{"vocab":{"a":0},"merges":[],"ignore_merges":1}"#, "model.ignore_merges", "not a boolean"),
  ])
  func aBadModelIsNamed(model: String, field: String, what: String) throws {
    expect(try failure("{\(Self.decoder),\(Self.split),\(model)}"), field, what)
  }

  @Test(arguments: [
    (#""normalizer":{"type":"NFKC"}"#, "normalizer.type", "NFKC"),
    (
      #""normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Lowercase"}]}"#,
      "normalizer.normalizers[1].type", "Lowercase"
    ),
    (#""normalizer":{}"#, "normalizer.type", "missing"),
    (#""normalizer":"NFC""#, "normalizer.type", "missing"),
    (#""pre_tokenizer":null"#, "pre_tokenizer", "ByteLevel"),
    (#""pre_tokenizer":{"type":"Metaspace"}"#, "pre_tokenizer.type", "Metaspace"),
    (
      #""pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\d+"},"#
        + #""behavior":"Isolated","invert":false},{"type":"ByteLevel"}]}"#,
      "pre_tokenizer.pretokenizers[0].pattern.Regex", #"\d+"#
    ),
    (
      #""pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"ByteLevel"},{"type":"Digits"}]}"#,
      "pre_tokenizer.pretokenizers[1].type", "Digits"
    ),
    (#""decoder":null"#, "decoder", "missing decoder"),
    (#""decoder":{"type":"WordPiece"}"#, "decoder.type", "WordPiece"),
    (#""added_tokens":{}"#, "added_tokens", "not an array"),
    (#""added_tokens":[7]"#, "added_tokens[0]", "not an object"),
    (#""added_tokens":[{"id":3}]"#, "added_tokens[0].content", "missing"),
    (#""added_tokens":[{"content":"x"}]"#, "added_tokens[0].id", "whole number"),
    (#""added_tokens":[{"content":"x","id":1e30}]"#, "added_tokens[0].id", "whole number"),
    (#""added_tokens":[{"content":"x","id":1}]"#, "added_tokens[0].id", "library gives it 3"),
    (#""added_tokens":[{"content":"x","id":9}]"#, "added_tokens[0].id", "library gives it 3"),
    (#""added_tokens":[{"content":"ab","id":3}]"#, "added_tokens[0].id", "library gives it 2"),
    (#""added_tokens":[{"content":"x","id":3},{"content":"y","id":3}]"#, "added_tokens[1].id", "library gives it 4"),
    (#""added_tokens":[{"content":"x","id":3},{"content":"x","id":4}]"#, "added_tokens[1].content", "twice"),
  ])
  func aBadStageIsNamed(stage: String, field: String, what: String) throws {
    // Of a repeated key the last counts.
    expect(try failure("{\(Self.decoder),\(Self.split),\(Self.model),\(stage)}"), field, what)
  }

  private func expect(_ error: MartletError, _ field: String, _ what: String) {
    #expect(error.status == .data)
    #expect(error.message.hasPrefix("folder/tokenizer.json: \(field): "), "\(error.message)")
    #expect(error.message.contains(what), "\(error.message)")
    #expect(error.message.contains("; "), "no remedy: \(error.message)")
  }

  @Test(arguments: [
    "", " ", "[", "nul", "[]", "7", "{\"a\"}", "{\"a\":1,}", "{\"a\":1}x", "{\"a\":\"\u{1}\"}", "{\"a\":\"\\x\"}",
    "{\"a\":01e}",
    "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\u12\"}", "{\"a\":\"", "{\"a\":\"\\", "{\"a\":+1}",
    "{\"a\":--1}",
    "{\"a\":1e999}", "{\"a\":truf}", "{\"model\":{\"vocab\":{\"a\":1",
  ])
  func aBrokenTextIsNamed(json: String) throws {
    let error = try failure(json)
    #expect(error.status == .data)
    #expect(error.message.hasPrefix("folder/tokenizer.json:"), "\(error.message)")
    #expect(error.message.contains("; "), "\(error.message)")
  }

  @Test func invalidUTF8IsNamed() throws {
    for bytes: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]] {
      let json = Data(#"{"a":""#.utf8) + Data(bytes) + Data(#""}"#.utf8)
      let error = try #require(throws: MartletError.self) { try Tokenizer(json: json, path: "t.json") }
      #expect(error.message.contains("UTF-8"), "\(bytes): \(error.message)")
    }
  }

  @Test func deepTextIsRefused() throws {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
      for count in [100, 1_000_000] {
        let bomb = String(repeating: open, count: count) + "0" + String(repeating: close, count: count)
        for json in [
          bomb, "{\"x\":\(bomb)}", "{\"model\":{\"vocab\":{\"a\":\(bomb)}}}", "{\"model\":{\"merges\":[[\(bomb)]]}}",
        ] {
          _ = try failure(json)
        }
      }
    }
    var nested = #"{"type":"NFC"}"#
    for _ in 0..<40 { nested = #"{"type":"Sequence","normalizers":[\#(nested)]}"# }
    #expect(
      try failure("{\(Self.decoder),\(Self.split),\(Self.model),\"normalizer\":\(nested)}").message.contains("deep"))
  }

  /// Every cut of a real file throws, and thousands of changed bytes throw or load; nothing crashes.
  @Test func damagedFilesNeverCrash() throws {
    let whole = try TokenizerFixtures.data("tokenizer-gpt2.json")
    for count in stride(from: 0, to: whole.count - 2, by: 7) {
      #expect(throws: MartletError.self) { try Tokenizer(json: whole.prefix(count), path: "t.json") }
    }
    var random = RandomTexts(seed: 7)
    var loaded = 0
    for _ in 0..<3000 {
      var json = whole
      for _ in 0..<1 + random.below(3) {
        let place = Int(random.below(3) == 0 ? random.below(2000) : random.below(UInt64(json.count)))
        json[place] = Array("{}[]\",:0129\\untf ".utf8)[Int(random.below(17))]
      }
      do {
        let tokenizer = try Tokenizer(json: json, path: "t.json")
        let ids = tokenizer.encode("Don't <ls> multiply 12 by é e\u{301}x word.\n")
        _ = tokenizer.decode(ids)
        loaded += 1
      } catch let error as MartletError {
        #expect(error.message.hasPrefix("t.json:"))
      }
    }
    #expect(loaded > 30 && loaded < 2970)
  }
}
