import CFuzzMain
import Checkpoint
import Foundation
import Glibc
import Rollout
import Support
import Tokenization
import Training

/// The readers of files that people get from elsewhere, for libFuzzer: `make fuzz`.
///
/// A reader may throw `MartletError` and return; it may not trap, hang, or take memory that the file does not justify.
private enum Reader: String, CaseIterable {
  case safetensors, config, gguf, tokenizer, yaml, jsonl, model, journal, manifest

  /// The file the bytes are put into, below the fuzzer's folder.
  var name: String {
    switch self {
    case .safetensors: "model/model.safetensors"
    case .config: "model/config.json"
    case .gguf: "model.gguf"
    case .tokenizer: "tokenizer.json"
    case .yaml: "run.yaml"
    case .jsonl: "episodes.jsonl"
    case .model: "model.h5"
    case .journal: "journal.log"
    case .manifest: "step-00000001/manifest.json"
    }
  }

  func read(_ path: String) throws {
    let folder = (path as NSString).deletingLastPathComponent
    switch self {
    case .safetensors, .config: _ = try HuggingFaceFolder.read(folder)
    case .gguf: _ = try GGUFModel.read(path)
    case .tokenizer:
      let tokenizer = try Tokenizer(json: Data(contentsOf: URL(fileURLWithPath: path)), path: path)
      _ = tokenizer.decode(tokenizer.encode("He said: 12 + 34 \u{e9}\n\n <|end|>"))
    case .yaml: _ = try Configuration.load(path)
    case .jsonl:
      _ = try? EpisodeFile.read(path)
      _ = try Problem.readFile(path)
    case .model: _ = try ModelFile.read(path)
    case .journal: _ = try Journal(path: path)
    case .manifest: _ = try StepCheckpoint.open(folder)
    }
  }
}

/// What is fuzzed: `FUZZ_READER`, in a folder of its own in memory.
private let target: (reader: Reader, path: String) = {
  let name = ProcessInfo.processInfo.environment["FUZZ_READER"] ?? ""
  guard let reader = Reader(rawValue: name) else {
    print("FUZZ_READER=\(name): choose one of \(Reader.allCases.map(\.rawValue).joined(separator: ", "))")
    exit(64)
  }
  let path = "/dev/shm/martlet-fuzz-\(getpid())/\(reader.name)"
  let folder = (path as NSString).deletingLastPathComponent
  try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  // A folder's other half comes from the corpus.
  if let partner = ProcessInfo.processInfo.environment["FUZZ_PARTNER"] {
    for name in (try? FileManager.default.contentsOfDirectory(atPath: partner)) ?? [] {
      try? FileManager.default.copyItem(atPath: partner + "/" + name, toPath: folder + "/" + name)
    }
  }
  atexit { try? FileManager.default.removeItem(atPath: "/dev/shm/martlet-fuzz-\(getpid())") }
  return (reader, path)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
  do {
    try Data(bytes: bytes, count: count).write(to: URL(fileURLWithPath: target.path))
    try target.reader.read(target.path)
  } catch {}
  return 0
}
