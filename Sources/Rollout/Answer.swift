/// The answer in a response: what its last complete `\boxed{...}` holds, braces of any depth inside. Where the model
/// thinks, only what follows its last `</think>` counts. nil when there is none or it is empty.
///
/// Give it the model's own words: a tool's output may print boxes too.
public func extractAnswer(_ text: String) -> String? {
  let bytes = Array(text.utf8)
  var start = 0
  let close = Array("</think>".utf8)
  if let last = lastRange(of: close, in: bytes, from: 0) { start = last + close.count }
  let marker = Array("\\boxed".utf8)
  let closings = closings(bytes, from: start)
  var end = bytes.count
  while let at = lastRange(of: marker, in: bytes, from: start, before: end) {
    if let content = boxContent(bytes, after: at + marker.count, closings) {
      let trimmed = trim(content)
      return trimmed.isEmpty ? nil : String(decoding: trimmed, as: UTF8.self)
    }
    end = at
  }
  return nil
}

/// Start of the last occurrence of `needle` that lies in `from..<before`.
private func lastRange(of needle: [UInt8], in bytes: [UInt8], from: Int, before: Int? = nil) -> Int? {
  var index = (before ?? bytes.count) - needle.count
  while index >= from {
    if bytes[index] == needle[0], bytes[index..<index + needle.count].elementsEqual(needle) { return index }
    index -= 1
  }
  return nil
}

/// For each opening brace the place of the one that closes it, in one pass: thousands of boxes that never close cost no more
/// than one. The brace of a box is never an escaped one, so where it starts does not matter.
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

/// The group in braces, or the single character, that follows `\boxed`; nil when the group never closes.
private func boxContent(_ bytes: [UInt8], after start: Int, _ closings: [Int: Int]) -> ArraySlice<UInt8>? {
  var index = start
  while index < bytes.count, bytes[index] == 0x20 { index += 1 }
  guard index < bytes.count else { return nil }
  guard bytes[index] == UInt8(ascii: "{") else {
    // `\boxed 5`: as in TeX, one character; a whole run of digits is meant
    var end = index
    while end < bytes.count, bytes[end] >= 0x30, bytes[end] <= 0x39 { end += 1 }
    return index > start && end > index ? bytes[index..<end] : nil
  }
  return closings[index].map { bytes[index + 1..<$0] }
}

private func trim(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
  var slice = bytes
  while let byte = slice.first, byte == 0x20 || (0x09...0x0D).contains(byte) { slice = slice.dropFirst() }
  while let byte = slice.last, byte == 0x20 || (0x09...0x0D).contains(byte) { slice = slice.dropLast() }
  return slice
}
