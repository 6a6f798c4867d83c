/// Turns the bytes of a block's output into the text that the model sees.
enum InterpreterOutput {
  /// - Parameters:
  ///   - head: the first bytes; `tail`: the last ones; `total`: how many there were.
  static func text(head: [UInt8], tail: [UInt8], total: Int, flooded: Bool) -> String {
    let kept = head.count + tail.count
    guard total > kept || flooded else { return readable(head + tail) }
    var first = head[...]
    var last = tail[...]
    // A cut must not split a character.
    while let byte = last.first, byte & 0xC0 == 0x80 { last = last.dropFirst() }
    var back = 0
    while back < 4, back < first.count, first[first.endIndex - 1 - back] & 0xC0 == 0x80 { back += 1 }
    if back < first.count {
      let lead = first[first.endIndex - 1 - back]
      let need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0
      if need != back { first = first.dropLast(back + 1) }
    }
    let note = "[output truncated: kept \(kept) of \(flooded ? ">" : "")\(total) bytes]"
    return readable(Array(first)) + "\n\(note)\n" + readable(Array(last))
  }

  /// The text as UTF-8: U+FFFD for invalid bytes, \n for line ends, \xNN for other control characters.
  static func readable(_ bytes: [UInt8]) -> String {
    guard bytes.contains(where: { $0 >= 0x7F || ($0 < 0x20 && $0 != 0x0A && $0 != 0x09) }) else {
      return String(decoding: bytes, as: UTF8.self)
    }
    var result = String.UnicodeScalarView()
    let scalars = Array(String(decoding: bytes, as: UTF8.self).unicodeScalars)
    for (index, scalar) in scalars.enumerated() {
      switch scalar.value {
      case 0x0D:
        if index + 1 < scalars.count, scalars[index + 1] == "\n" { continue }
        result.append("\n")
      case 0..<0x09, 0x0B..<0x20, 0x7F..<0xA0:
        let digits = String(scalar.value, radix: 16)
        result.append(contentsOf: ("\\x" + (digits.count < 2 ? "0" : "") + digits).unicodeScalars)
      default:
        result.append(scalar)
      }
    }
    return String(result)
  }

  /// The printed text with a note about how the block ended.
  static func withNote(_ text: String, status: CallResult.Status, detail: String, settings: InterpreterSettings)
    -> String
  {
    let note: String
    switch status {
    case .ok, .error: return text
    case .timeout: note = "[time limit: stopped after \(settings.timeLimit) s]"
    case .memory: note = "[memory limit: \(settings.memoryBytes >> 20) MiB]"
    case .output: note = "[output limit: stopped after \(settings.outputLimit) bytes]"
    case .crashed: note = "[crashed: \(detail)]"
    case .exited: note = "[\(detail)]"
    case .refused:
      if text.isEmpty { note = "[refused: \(detail)]" } else { return text }
    case .sandboxError: return "[the interpreter failed: the code was not judged]\n"
    }
    return text + (text.isEmpty || text.hasSuffix("\n") ? "" : "\n") + note + "\n"
  }
}
