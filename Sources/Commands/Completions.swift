import ArgumentParser

/// What a shell offers for an argument; folders are offered with each of them.
extension CompletionKind {
  /// Stage, pipeline and ablation files.
  static let configuration = CompletionKind.file(extensions: ["yaml", "yml"])
  /// A model file, or the folder of a run, a step or a Hugging Face model.
  static let model = CompletionKind.file(extensions: ["h5"])
  /// One JSON object a line.
  static let lines = CompletionKind.file(extensions: ["jsonl"])
}
