import Checkpoint
import Foundation
import Support
import Transformer

/// What becomes of problems whose prompt leaves no room for a response.
public enum OverlongPrompts: String, Codable, Sendable, CaseIterable {
  /// The run does not start.
  case error
  /// They are left out, counted, and listed in the run's `skipped.jsonl`.
  case skip
}

extension Configuration.Prompt {
  /// The first value that makes no sense, as "key: why".
  var problem: String? {
    if let date, Self.day(date) == nil { return "date: \"\(date)\" is not a date; write it as YYYY-MM-DD" }
    if let name = templateVariables.keys.sorted().first(where: ChatForm.reservedVariables.contains) {
      return "template_variables.\(name): is set by the program itself; choose another name"
    }
    return nil
  }

  private static let calendar: DateFormatter = {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.dateFormat = "yyyy-MM-dd"
    formatter.isLenient = false
    return formatter
  }()

  private static func day(_ text: String) -> Date? { text.count == 10 ? calendar.date(from: text) : nil }

  static var today: String { calendar.string(from: Date()) }
}

extension Configuration {
  /// This configuration with the day that the model's own template tells, where it asks for one: the day that the run
  /// in `folder` began on, else today. `config.yaml` keeps it, so that a run resumed tomorrow asks as it did today.
  func resolvingDate(folder: String) throws -> Configuration {
    guard prompt.date == nil, prompt.template == .auto else { return self }
    let files =
      try model.map { try ModelSource.header($0).files } ?? newModel.map { try HuggingFaceFolder.files($0.tokenizer) }
    guard files?.chatTemplate?.contains("strftime_now") == true else { return self }
    var resolved = self
    resolved.prompt.date = Prompt.today
    if let yaml = FileManager.default.contents(atPath: folder + "/config.yaml"),
      case .text(let begun)? = try ConfigurationTree(
        yaml: String(decoding: yaml, as: UTF8.self), path: folder + "/config.yaml")["prompt"]?["date"]
    {
      resolved.prompt.date = begun
    }
    return resolved
  }
}
