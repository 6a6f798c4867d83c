import Foundation
import Support
import Tensor

extension ModelConfiguration {
  /// The scaling that a `rope_scaling` or `rope_parameters` object of `config.json` asks for; nil for the default type.
  static func rotaryScaling(_ table: ConfigurationJSON, contextLength: Int?) throws -> RotaryScaling? {
    if let share = try table.number("partial_rotary_factor"), share != 1 {
      throw table.fail("partial_rotary_factor", "\(share) is not supported; only 1 is", status: .configuration)
    }
    let key = table["rope_type"] != nil || table["type"] == nil ? "rope_type" : "type"
    let type = try table.text(key) ?? "default"
    if type == "default" { return nil }
    guard let kind = RotaryScaling.Kind(rawValue: type) else {
      let known = RotaryScaling.Kind.allCases.map(\.rawValue).joined(separator: ", ")
      throw table.fail(
        key, "\"\(type)\" is not supported; known are default, \(known)", status: .configuration)
    }
    guard let factor = try table.number("factor") else {
      throw table.fail("factor", "is missing; rope type \(type) needs it")
    }
    var scaling = RotaryScaling(
      kind: kind, factor: factor,
      originalContextLength: try table.integer("original_max_position_embeddings") ?? contextLength)
    scaling.lowFrequencyFactor = try table.number("low_freq_factor")
    scaling.highFrequencyFactor = try table.number("high_freq_factor")
    scaling.attentionFactor = try table.number("attention_factor")
    scaling.betaFast = try table.number("beta_fast")
    scaling.betaSlow = try table.number("beta_slow")
    scaling.mscale = try table.number("mscale")
    scaling.mscaleAllDimensions = try table.number("mscale_all_dim")
    scaling.truncate = try table.bool("truncate")
    if let defect = scaling.defect { throw table.fail(key, "\(type): \(defect)") }
    return scaling
  }

  /// The scaling as a JSON object with transformers' keys.
  static func json(_ scaling: RotaryScaling) -> String {
    var items = ["\"rope_type\": \"\(scaling.kind.rawValue)\"", "\"factor\": \(scaling.factor)"]
    func add(_ key: String, _ value: (any CustomStringConvertible)?) {
      if let value { items.append("\"\(key)\": \(value)") }
    }
    add("original_max_position_embeddings", scaling.originalContextLength)
    add("low_freq_factor", scaling.lowFrequencyFactor)
    add("high_freq_factor", scaling.highFrequencyFactor)
    add("attention_factor", scaling.attentionFactor)
    add("beta_fast", scaling.betaFast)
    add("beta_slow", scaling.betaSlow)
    add("mscale", scaling.mscale)
    add("mscale_all_dim", scaling.mscaleAllDimensions)
    add("truncate", scaling.truncate)
    return "{\(items.joined(separator: ", "))}"
  }
}
