/// A token that is found in the text itself, ahead of any splitting and merging.
public struct AddedToken: Sendable, Equatable {
  /// The text it stands for.
  public let content: String
  /// Its id.
  public let id: Int32
  /// Marks the end of a turn and the like; not a piece of text.
  public let special: Bool
  let normalized: Bool
  let stripsLeft: Bool
  let stripsRight: Bool
  let singleWord: Bool
}

/// Finds added tokens, leftmost first and longest among those that start at one place.
struct AddedTokenMatcher: Sendable {
  private var tokens: [AddedToken] = []
  private var children: [UInt64: Int32] = [:]  // node << 8 | byte -> node
  private var ends: [Int32] = [-1]  // node -> place in tokens, or -1
  private var starts = [Bool](repeating: false, count: 256)

  var isEmpty: Bool { tokens.isEmpty }

  /// `pattern`: what to look for, that is the content or its normalised form. The first of equal patterns counts.
  mutating func insert(_ token: AddedToken, pattern: [UInt8]) {
    guard let first = pattern.first else { return }
    starts[Int(first)] = true
    var node: Int32 = 0
    for byte in pattern {
      let key = UInt64(node) << 8 | UInt64(byte)
      if let child = children[key] {
        node = child
      } else {
        node = Int32(ends.count)
        ends.append(-1)
        children[key] = node
      }
    }
    guard ends[Int(node)] < 0 else { return }
    ends[Int(node)] = Int32(tokens.count)
    tokens.append(token)
  }

  /// Calls `text` and `token` for the parts of `bytes` in order.
  func split(_ bytes: UnsafeBufferPointer<UInt8>, text: (Range<Int>) -> Void, token: (Int32) -> Void) {
    guard !tokens.isEmpty else {
      if !bytes.isEmpty { text(0..<bytes.count) }
      return
    }
    var done = 0
    var index = 0
    while index < bytes.count {
      guard starts[Int(bytes[index])], let (match, end) = longest(bytes, index) else {
        index += 1
        continue
      }
      var (start, stop) = (index, end)
      index = end  // the search goes on here even where the token is discarded
      if match.singleWord {
        if properties(bytes, before: start).contains(.word) { continue }
        if stop < bytes.count, UnicodeProperties.of(decodeScalar(bytes, stop).scalar).contains(.word) { continue }
      }
      if match.stripsLeft {
        while start > done, properties(bytes, before: start).contains(.space) {
          repeat { start -= 1 } while bytes[start] & 0xc0 == 0x80
        }
      }
      while match.stripsRight, stop < bytes.count {
        let (scalar, length) = decodeScalar(bytes, stop)
        if !UnicodeProperties.of(scalar).contains(.space) { break }
        stop += length
      }
      if done < start { text(done..<start) }
      token(match.id)
      done = stop
    }
    if done < bytes.count { text(done..<bytes.count) }
  }

  private func longest(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> (AddedToken, Int)? {
    var found: (AddedToken, Int)?
    var node: Int32 = 0
    for index in start..<bytes.count {
      guard let child = children[UInt64(node) << 8 | UInt64(bytes[index])] else { break }
      node = child
      if ends[Int(node)] >= 0 { found = (tokens[Int(ends[Int(node)])], index + 1) }
    }
    return found
  }

  private func properties(_ bytes: UnsafeBufferPointer<UInt8>, before index: Int) -> UnicodeProperties {
    guard index > 0 else { return [] }
    var start = index - 1
    while bytes[start] & 0xc0 == 0x80 { start -= 1 }
    return .of(decodeScalar(bytes, start).scalar)
  }
}
