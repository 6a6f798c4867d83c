import Support
import Tensor
import Transformer

extension Benchmark {
  /// How much work is measured; nil: each measurement decides.
  public struct Sizes: Sendable, Equatable {
    /// How many sequences decode together; one measurement for each entry.
    public var rows = [1, 8, 32, 64]
    /// Tokens of the context that `decode` starts from, and of each prompt of `prefill`, `grpo_step` and `rollout`.
    public var prompt: Int?
    /// Tokens drawn after each prompt; for the training measurements, tokens of a batch.
    public var tokens: Int?
    /// `grpo_step`: prompts.
    public var prompts = 4
    /// `grpo_step`: responses to each prompt.
    public var samples = 8
    /// Repeats, after one run to warm up.
    public var repeats: Int?

    /// The sizes of `train bench` without options.
    public init() {}

    /// - Throws: `MartletError` (usage) where a number is below 1 or the context too short.
    func check(_ parts: [Part], _ model: ModelConfiguration) throws {
      let numbers = [("rows", rows.min()), ("prompt", prompt), ("tokens", tokens), ("repeats", repeats)]
      for (name, number) in numbers + [("prompts", prompts), ("samples", samples)] {
        guard number ?? 1 >= 1 else { throw MartletError(.usage, "--\(name): \(number ?? 0); at least 1 is needed") }
      }
      if let tokens, tokens < 2, !Set(parts).isDisjoint(with: [.train, .trainExact, .trainBLAS, .trainLoRA]) {
        throw MartletError(.usage, "--tokens: a batch needs 2 tokens or more")
      }
      for part in parts {
        let (prompt, tokens) = lengths(part, context: model.contextLength)
        guard prompt + tokens <= model.contextLength else {
          throw MartletError(
            .usage,
            "\(part.rawValue): \(prompt + tokens) tokens, but the model's context holds \(model.contextLength); "
              + "ask for fewer with --prompt or --tokens")
        }
      }
    }

    /// Tokens of a prompt, and tokens drawn after it; both 0 where nothing is sampled.
    func lengths(_ part: Part, context: Int) -> (prompt: Int, tokens: Int) {
      switch part {
      case .decode:
        let tokens = self.tokens ?? min(16, context - 1)
        return (prompt ?? max(1, min(120, context - tokens)), tokens)
      case .prefill: return (prompt ?? min(512, context), 0)
      case .grpoStep: return (prompt ?? min(64, context / 2), tokens ?? min(64, context / 2))
      case .rollout: return (prompt ?? min(64, context / 4), tokens ?? min(256, context / 2))
      default: return (0, 0)
      }
    }
  }
}
