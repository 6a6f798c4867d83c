import Rollout

/// The sections that say where hints go, and which responses are learnt from.
extension Configuration {
  /// Hint engineering.
  public struct Hint: Codable, Sendable, Equatable {
    /// Where hints are put.
    public enum Mode: String, Codable, Sendable, CaseIterable {
      /// At delayed computation and at result distrust.
      case engineered
      /// Only at delayed computation.
      case delayed
      /// Only at result distrust.
      case distrust
      /// At the start of every response.
      case prompt
      /// Nowhere: the model's own right responses, as a control.
      case unhinted = "none"

      /// The spots where a response is cut.
      var spots: Set<BehaviourAnalysis.SpotKind> {
        switch self {
        case .engineered: [.delayed, .distrust]
        case .delayed: [.delayed]
        case .distrust: [.distrust]
        case .prompt, .unhinted: []
        }
      }
    }
    /// Where hints are put.
    public var mode = Mode.engineered
    /// How many examples to make.
    public var count = 30
    /// The most cuts of one response.
    public var rounds = 3
    /// The sentence against delayed computation: calculate with code from here on.
    public var delayed = HintFinder().delayed
    /// The sentence against result distrust: do not check by hand what code has found.
    public var distrust = HintFinder().distrust
    /// The sentence that every response begins with in mode `prompt`.
    public var prompt = HintFinder().prompt
    /// The longest example in model and hint tokens; 0: any.
    public var maxTokens = 0
    /// A file of spots and hints chosen by a person.
    public var edits: String?
    /// The episodes that `edits` refers to; nil: they are sampled.
    public var episodes: String?

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case mode, count, rounds, delayed, distrust, prompt
      case maxTokens = "max_tokens"
      case edits, episodes
    }
  }

  /// Hints at test time.
  public struct TestHints: Codable, Sendable, Equatable {
    /// The most hints that a response gets, one in each round; 0: none.
    public var rounds = 0
    /// The sentence behind one that hesitates; empty: none there.
    public var hesitation = HintFinder().hesitation
    /// The sentence before the end of the response; empty: none there.
    public var end = HintFinder().end

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable { case rounds, hesitation, end }
  }

  /// Rejection fine-tuning's filter.
  public struct Rejection: Codable, Sendable, Equatable {
    /// Which responses are kept.
    public enum Filter: String, Codable, Sendable, CaseIterable {
      /// Correct, with code that ran without errors, no delayed computation and no result distrust.
      case efficient
      /// Correct alone: the control.
      case correct
      /// Every response that came to its end, right or wrong.
      case finished = "none"
    }
    /// Which responses are kept.
    public var filter = Filter.efficient
    /// The most samples kept of one problem, the shortest first.
    public var perProblem = 2
    /// The longest response kept, in model and hint tokens; 0: any.
    public var maxTokens = 0
    /// Files of further training examples.
    public var mix: [String] = []

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case filter
      case perProblem = "per_problem"
      case maxTokens = "max_tokens"
      case mix
    }
  }

  /// What `rl` does with groups before it learns from them.
  public struct Groups: Codable, Sendable, Equatable {
    /// Dynamic sampling (DAPO): groups without a signal are dropped and more prompts are sampled, in all at most this
    /// many times `prompts_per_step`; 0: every group is kept.
    public var refill = 0
    /// Takes cut-off answers out of the loss (DAPO's overlong filter).
    public var maskTruncated = false
    /// Takes responses with a void turn out of the loss: one without a complete call and without an answer (SimpleTIR).
    public var maskVoid = false
    /// Samples twice `samples_per_prompt` and learns from half of them: of the right ones those with the fewest failed
    /// calls (GRPO-RoC).
    public var cleanSuccesses = false
    /// Problems whose success rate was outside when they were last sampled are seldom drawn.
    public var rateBand = [0.0, 1]
    /// Splits a step's samples by each problem's success rate: problems that are solved sometimes get more (Knapsack
    /// RL).
    public var knapsack = false
    /// With `knapsack`, the most samples of one prompt.
    public var knapsackMaximum = 128

    /// The section with its defaults.
    public init() {}

    /// Whether a rate can be outside.
    var hasBand: Bool { rateBand != [0, 1] }
    /// `rateBand`, once it is validated.
    var band: ClosedRange<Double> { rateBand[0]...rateBand[1] }

    enum CodingKeys: String, CodingKey, CaseIterable {
      case refill
      case maskTruncated = "mask_truncated"
      case maskVoid = "mask_void"
      case cleanSuccesses = "clean_successes"
      case rateBand = "rate_band"
      case knapsack
      case knapsackMaximum = "knapsack_maximum"
    }
  }
}
