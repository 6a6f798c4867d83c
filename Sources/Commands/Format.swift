import Foundation

/// Numbers as people read them.
enum Format {
  static func time(_ seconds: Double) -> String {
    switch seconds {
    case ..<10: String(format: "%.1f s", seconds)
    case ..<60: "\(Int(seconds)) s"
    case ..<3600: "\(Int(seconds) / 60) min \(Int(seconds) % 60) s"
    default: "\(Int(seconds) / 3600) h \(Int(seconds) % 3600 / 60) min"
    }
  }

  /// Four digits are enough to read.
  static func short(_ value: Double) -> String {
    value.magnitude >= 1000 && value.magnitude < 1e15 ? String(Int(value)) : String(format: "%.4g", value)
  }
}
