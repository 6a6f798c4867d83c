/// A message of the control stream, of fixed length.
struct ControlMessage {
  enum Kind: UInt64 {
    case heartbeat = 1
    /// A rank is lost, or an error ends the run: the text says so.
    case fault
    /// The sender ends well and will send nothing more.
    case bye
    /// For the work queue.
    case work
  }

  static let byteCount = 512
  private static let wordCount = 16
  private static let payloadCount = byteCount - 8 * wordCount - 8

  var kind: Kind
  /// Up to 14 numbers.
  var words: [UInt64]
  /// Up to 376 bytes.
  var payload: [UInt8] = []

  init(_ kind: Kind, _ words: [UInt64], payload: [UInt8] = []) {
    precondition(words.count <= Self.wordCount - 2, "ControlMessage: \(words.count) words")
    self.kind = kind
    self.words = words
    self.payload = Array(payload.prefix(Self.payloadCount))
  }

  /// nil for bytes that no rank has sent.
  init?(_ bytes: UnsafeRawBufferPointer) {
    let numbers = (0..<Self.wordCount + 1).map { bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self) }
    guard let kind = Kind(rawValue: numbers[0]), numbers[1] <= Self.wordCount - 2, numbers[2] <= Self.payloadCount
    else { return nil }
    self.kind = kind
    words = Array(numbers[3..<3 + Int(numbers[1])])
    payload = Array(bytes[8 * (Self.wordCount + 1)..<8 * (Self.wordCount + 1) + Int(numbers[2])])
  }

  func write(to bytes: UnsafeMutableRawBufferPointer) {
    let numbers = [kind.rawValue, UInt64(words.count), UInt64(payload.count)] + words
    for (place, number) in numbers.enumerated() {
      bytes.storeBytes(of: number, toByteOffset: 8 * place, as: UInt64.self)
    }
    for (place, byte) in payload.enumerated() { bytes[8 * (Self.wordCount + 1) + place] = byte }
  }

  var text: String { String(decoding: payload, as: UTF8.self) }
}

/// What a rank says of itself twice a second.
struct SignOfLife {
  /// Counts up with everything that gets done.
  var progress: UInt64 = 0
  var step: UInt64 = 0
  /// The strongest request to stop that the rank knows of.
  var stop: UInt64 = 0
  /// Whether its work waits for the wire.
  var waits = false
  var host = ""
  var phase = "starting"

  init() {}

  init(_ message: ControlMessage) {
    let words = message.words + [0, 0, 0, 0]
    (progress, step, stop, waits) = (words[0], words[1], words[2], words[3] != 0)
    let lines = message.text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    host = String(lines.first ?? "")
    phase = String(lines.dropFirst().first ?? "")
  }

  var message: ControlMessage {
    ControlMessage(
      .heartbeat, [progress, step, stop, waits ? 1 : 0],
      payload: Array("\(host.prefix(64))\n\(phase.prefix(200))".utf8))
  }
}
