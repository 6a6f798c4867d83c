import Support

/// The answer in a response: what its last `\boxed{...}` or `\fbox{...}` holds, braces of any depth inside. Where the
/// model thinks, only what follows its last `</think>` counts. nil when there is none or it is empty.
///
/// A box that never closes cancels the one before it: the answer is then the open box as written, which is never right.
/// Without an earlier box there is no answer.
///
/// Pass the model's own words only: a tool's output may print boxes too.
public func extractAnswer(_ text: String) -> String? {
  let bytes = Array(text.utf8)
  var start = 0
  let close = Array("</think>".utf8)
  if let last = lastRange(of: close, in: bytes) { start = last + close.count }
  let closings = closings(bytes, from: start)
  var end = bytes.count
  var open: Int?
  while let (at, after) = lastBox(bytes, from: start, before: end) {
    switch boxContent(bytes, after: after, closings) {
    case .closed(let content):
      let trimmed = trim(content)
      if trimmed.isEmpty { return nil }
      return String(decoding: open.map { bytes[$0...].prefix(longestOpenBox) } ?? trimmed, as: UTF8.self)
    case .open: open = open ?? at
    case .none: break
    }
    end = at
  }
  return nil
}

/// How many bytes are kept of a box that never closes.
private let longestOpenBox = 200

/// What follows the command: a group, a group that never closes, or neither.
private enum BoxContent {
  case closed(ArraySlice<UInt8>), open, none
}

/// The last command for a box that lies in `from..<before`: its start and its end.
private func lastBox(_ bytes: [UInt8], from: Int, before: Int) -> (at: Int, after: Int)? {
  let names = [Array("\\boxed".utf8), Array("\\fbox".utf8)]
  var index = before - 1
  while index >= from {
    if bytes[index] == UInt8(ascii: "\\"),
      let name = names.first(where: { index + $0.count <= before && bytes[index...].starts(with: $0) })
    {
      return (index, index + name.count)
    }
    index -= 1
  }
  return nil
}

/// Start of the last occurrence of `needle` in `bytes`.
private func lastRange(of needle: [UInt8], in bytes: [UInt8]) -> Int? {
  var index = bytes.count - needle.count
  while index >= 0 {
    if bytes[index] == needle[0], bytes[index..<index + needle.count].elementsEqual(needle) { return index }
    index -= 1
  }
  return nil
}

/// For each opening brace the place of the one that closes it, in one pass: thousands of boxes that never close cost no
/// more than one. The brace of a box is never an escaped one, so where it starts does not matter.
private func closings(_ bytes: [UInt8], from start: Int) -> [Int: Int] {
  var open: [Int] = []
  var found: [Int: Int] = [:]
  var index = start
  while index < bytes.count {
    switch bytes[index] {
    case UInt8(ascii: "\\"): index += 1  // an escaped brace is a sign of its own
    case UInt8(ascii: "{"): open.append(index)
    case UInt8(ascii: "}"): if let first = open.popLast() { found[first] = index }
    default: break
    }
    index += 1
  }
  return found
}

/// The group in braces, or the single character, that follows `\boxed`.
private func boxContent(_ bytes: [UInt8], after start: Int, _ closings: [Int: Int]) -> BoxContent {
  var index = start
  while index < bytes.count, bytes[index] == 0x20 { index += 1 }
  guard index < bytes.count else { return .none }
  guard bytes[index] == UInt8(ascii: "{") else {
    // `\boxed 5`: one digit in TeX; a whole run of digits is meant
    var end = index
    while end < bytes.count, bytes[end] >= 0x30, bytes[end] <= 0x39 { end += 1 }
    return end > index ? .closed(bytes[index..<end]) : .none
  }
  return closings[index].map { .closed(bytes[index + 1..<$0]) } ?? .open
}

private func trim(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  var slice = bytes
  while let byte = slice.first, byte == 0x20 || (0x09...0x0D).contains(byte) { slice = slice.dropFirst() }
  while let byte = slice.last, byte == 0x20 || (0x09...0x0D).contains(byte) { slice = slice.dropLast() }
  return slice
}
