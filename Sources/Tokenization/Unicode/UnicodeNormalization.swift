import Support

/// Normalization Form C (Unicode Standard Annex 15) over the tables of the `tokenizers` library's normaliser.
package final class CanonicalComposition: Sendable {
  package static let shared = CanonicalComposition()

  /// Every scalar that NFC may change or that may take part in a composition or a reordering.
  let changing: [UInt32]
  /// Full canonical decompositions, Hangul aside.
  private let decompositions: [UInt32: [UInt32]]
  /// First and second part -> the scalar they compose to, Hangul aside.
  private let compositions: [UInt64: UInt32]
  private let classes: [UInt32: UInt8]

  private static let syllables: Range<UInt32> = 0xac00..<0xd7a4
  private static let leads: Range<UInt32> = 0x1100..<0x1113
  private static let vowels: Range<UInt32> = 0x1161..<0x1176
  private static let tails: Range<UInt32> = 0x11a8..<0x11c3

  private init() {
    var steps: [UInt32: [UInt32]] = [:]
    var compositions: [UInt64: UInt32] = [:]
    var changing: [UInt32] = Array(Self.vowels) + Array(Self.tails)
    var scalar: UInt32 = 0
    for entry in UnicodeTables.decompositions.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      let composes = entry.utf8.contains(UInt8(ascii: "="))
      let halves = entry.split(whereSeparator: { $0 == "=" || $0 == "-" })
      let parts = halves[1].split(separator: "+").map { UInt32($0, radix: 16)! }
      scalar += UInt32(halves[0], radix: 16)!
      steps[scalar] = parts
      if composes {
        compositions[Self.pair(parts[0], parts[1])] = scalar
        changing.append(parts[1])
      } else {
        changing.append(scalar)
      }
    }
    var classes: [UInt32: UInt8] = [:]
    var first: UInt32 = 0
    for entry in UnicodeTables.combiningClasses.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
      let numbers = entry.split(separator: ",").map { UInt32($0, radix: 16)! }
      first += numbers[0]
      for mark in first..<first + numbers[1] {
        classes[mark] = UInt8(numbers[2])
        changing.append(mark)
      }
    }
    func full(_ scalar: UInt32) -> [UInt32] { steps[scalar].map { $0.flatMap(full) } ?? [scalar] }
    self.decompositions = Dictionary(uniqueKeysWithValues: steps.keys.map { ($0, full($0)) })
    self.compositions = compositions
    self.classes = classes
    self.changing = changing
  }

  private static func pair(_ first: UInt32, _ second: UInt32) -> UInt64 { UInt64(first) << 32 | UInt64(second) }

  /// The text, valid UTF-8, in NFC; nil when it is already.
  package func normalized(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
    var index = 0
    while index < bytes.count {
      if bytes[index] < 0xcc {  // below U+0300 nothing changes
        index += 1
        continue
      }
      let (scalar, length) = decodeScalar(bytes, index)
      if UnicodeProperties.of(scalar).contains(.mayCompose) { break }
      index += length
    }
    guard index < bytes.count else { return nil }

    var scalars = decomposed(bytes)
    compose(&scalars)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    for scalar in scalars { appendScalar(scalar, to: &result) }
    return result
  }

  private func decomposed(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt32] {
    var scalars: [UInt32] = []
    scalars.reserveCapacity(bytes.count)
    var marks: [(scalar: UInt32, order: UInt64)] = []
    func flush() {
      if marks.count > 1 { marks.sort { $0.order < $1.order } }
      for mark in marks { scalars.append(mark.scalar) }
      marks.removeAll(keepingCapacity: true)
    }
    func add(_ scalar: UInt32) {
      if let order = classes[scalar] {
        marks.append((scalar, UInt64(order) << 56 | UInt64(marks.count)))
      } else {
        if !marks.isEmpty { flush() }
        scalars.append(scalar)
      }
    }
    var index = 0
    while index < bytes.count {
      let (scalar, length) = decodeScalar(bytes, index)
      index += length
      if scalar < 0xc0 {
        if !marks.isEmpty { flush() }
        scalars.append(scalar)
      } else if Self.syllables.contains(scalar) {
        let syllable = scalar - Self.syllables.lowerBound
        add(Self.leads.lowerBound + syllable / 588)
        add(Self.vowels.lowerBound + syllable % 588 / 28)
        if syllable % 28 != 0 { add(Self.tails.lowerBound - 1 + syllable % 28) }
      } else if let parts = decompositions[scalar] {
        for part in parts { add(part) }
      } else {
        add(scalar)
      }
    }
    flush()
    return scalars
  }

  private func compose(_ scalars: inout [UInt32]) {
    var starter: Int? = nil
    var lastClass: UInt8 = 0  // of the last mark kept since the starter; 0: none
    var kept = 0
    for scalar in scalars {
      let order = classes[scalar] ?? 0
      // A scalar is blocked from the starter by a kept one of class 0 or of a class not below its own.
      if let place = starter, kept == place + 1 || lastClass != 0 && lastClass < order,
        let composed = composition(scalars[place], scalar)
      {
        scalars[place] = composed
        continue
      }
      if order == 0 { starter = kept }
      lastClass = order
      scalars[kept] = scalar
      kept += 1
    }
    scalars.removeSubrange(kept...)
  }

  private func composition(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if Self.leads.contains(first), Self.vowels.contains(second) {
      let lead = first - Self.leads.lowerBound
      return Self.syllables.lowerBound + (lead * 21 + second - Self.vowels.lowerBound) * 28
    }
    if Self.syllables.contains(first), (first - Self.syllables.lowerBound) % 28 == 0, Self.tails.contains(second) {
      return first + second - Self.tails.lowerBound + 1
    }
    return compositions[Self.pair(first, second)]
  }
}
