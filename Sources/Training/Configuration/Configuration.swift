import PPO
import Rollout
import Tensor
import Transformer

/// What a stage does.
public enum StageKind: String, Codable, Sendable, CaseIterable {
  case sft, hint, rft, rl, eval
}

/// Everything that fixes a stage's result: a YAML file, merged over the defaults below, then `--set`. A run folder
/// holds the whole of it in `config.yaml`. `docs/configuration.md` says what each key means.
public struct Configuration: Codable, Sendable, Equatable {
  /// What the file is for; nil: the command says it.
  public var stage: StageKind?
  /// The run's folder: a name under `checkpoints/`, or a path.
  public var run = ""
  /// Where weights come from: a model file, a run or step folder, a Hugging Face folder.
  public var model: String?
  /// Random weights to start from instead of `model`.
  public var newModel: NewModel?
  /// The reference of the KL term; nil: `model` as it was at the start.
  public var refModel: String?
  /// Problems (hint, rft, rl, eval) or training examples (sft); several files are read one after another.
  public var data: [String] = []
  /// Problems that `rl` and `rft` evaluate on when they are done.
  public var evalData: [String] = []
  /// Optimizer steps (sft), rollout steps (rl), optimizer steps on what was kept (rft).
  public var steps = 0
  public var seed: UInt64 = 0
  /// Minutes between checkpoints; 0: time saves none.
  public var saveMinutes = 10.0
  /// Steps between checkpoints; 0: steps save none. With both 0 only the model at the end is left.
  public var saveEvery = 0
  /// Checkpoints that are kept; 0: all.
  public var keepLast = 3
  /// Checkpoints of every so many steps are kept besides; 0: none.
  public var keepEvery = 0
  /// RL steps between evaluations on `evalData`, one response a problem; 0: only at the end.
  public var evalEvery = 0
  /// Whose tokens `sft` trains on.
  public var trainAuthors: [Author] = [.model]
  public var matmul = MatmulMode.mixed
  /// Parts that an update batch's gradient is summed in before a fixed tree adds them.
  /// Adapters that are trained instead of the weights; rank 0: none.
  public var lora = LowRankAdapters()
  public var gradientShards = 1
  /// Ranks that this process plays, one after another; the gradients are the same for any number of them.
  public var ranks = 1
  /// Prompts of a rollout step.
  public var promptsPerStep = 8
  /// G: responses sampled to each prompt.
  public var samplesPerPrompt = 8
  /// Responses (sft: examples) of one optimizer step.
  public var updateBatch = 64
  /// Tokens of one forward and backward pass.
  public var microBatchTokens = 4096
  /// Whether a prompt goes through the model once for all responses to it in a pass; never with `exact`.
  public var sharePrompts = true
  /// Sequences that are sampled at the same time.
  public var slots = 64
  /// Whether layers are run again in the backward pass to save memory.
  public var recompute = Recomputation.auto
  public var optimizer = OptimizerSettings()
  public var sampling = Sampling()
  public var loss = LossSettings()
  public var prompt = Prompt()
  public var interpreter = InterpreterSettings()
  public var reward = RewardSettings()
  public var grader = Grading()
  /// A file of tools that the model may call by name, in the format `tool_call`.
  public var tools: String?
  public var hint = Hint()
  public var rejection = Rejection()
  /// Group filters of `rl`.
  public var groups = Groups()
  /// Whether `rl` learns from given episodes (`--replay`). No key of a file.
  var replays = false

  public init() {}

  /// Whether a prompt goes through the model once for all responses to it in a pass.
  var sharesPrompts: Bool { sharePrompts && matmul != .exact }
  /// Whether checkpoints are written before the end.
  var savesOnTheWay: Bool { saveEvery > 0 || saveMinutes > 0 || evalEvery > 0 }

  /// A model of random weights.
  public struct NewModel: Codable, Sendable, Equatable {
    /// A folder with tokenizer.json.
    public var tokenizer: String
    /// `vocabulary_size` may be left out: it is the tokenizer's.
    public var shape: ModelConfiguration

    public init(tokenizer: String, shape: ModelConfiguration) {
      self.tokenizer = tokenizer
      self.shape = shape
    }
  }

  /// How responses are drawn.
  public struct Sampling: Codable, Sendable, Equatable {
    public var temperature: Float = 1
    public var topP: Float = 1
    public var topK = 0
    /// The longest response in tokens, tool output included.
    public var maxTokens = 2048
    /// Blocks that are executed in one response.
    public var maxCalls = 12
    public var tools = ToolFormats.python

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case temperature
      case topP = "top_p"
      case topK = "top_k"
      case maxTokens = "max_tokens"
      case maxCalls = "max_calls"
      case tools
    }
  }

  /// What stands before the response.
  public struct Prompt: Codable, Sendable, Equatable {
    public var template = TemplateChoice.auto
    /// The system message; nil: none of ours (a model's own template may put one).
    public var system: String?
    /// Put behind the problem, unless the problem names its own `prompt`.
    public var instruction = ""
    /// The response begins with this sentence (prompt hint).
    public var hint: String?
    /// What the model's own template may read besides, such as `enable_thinking`.
    public var templateVariables: [String: TemplateValue] = [:]
    /// The day that the model's own template tells, as YYYY-MM-DD; nil: the one a run begins on.
    public var date: String?
    /// What becomes of problems whose prompt leaves no room for a response.
    public var overlong = OverlongPrompts.error

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case template, system, instruction, hint
      case templateVariables = "template_variables"
      case date, overlong
    }
  }

  /// Hint engineering.
  public struct Hint: Codable, Sendable, Equatable {
    public enum Mode: String, Codable, Sendable, CaseIterable { case engineered, prompt }
    /// `engineered`: at delayed computation and result distrust; `prompt`: at the start of every response.
    public var mode = Mode.engineered
    /// Examples to make; sampling ends when they are there.
    public var count = 30
    /// Cuts one response may get.
    public var rounds = 3
    /// The sentences.
    public var delayed = HintFinder().delayed
    public var distrust = HintFinder().distrust
    public var prompt = HintFinder().prompt
    /// The longest example in model and hint tokens; 0: any.
    public var maxTokens = 0
    /// A file of spots and hints chosen by a person.
    public var edits: String?
    /// The episodes `edits` speaks of; nil: they are sampled.
    public var episodes: String?

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case mode, count, rounds, delayed, distrust, prompt
      case maxTokens = "max_tokens"
      case edits, episodes
    }
  }

  /// Who says whether a response is right.
  public struct Grading: Codable, Sendable, Equatable {
    /// A program that does, in place of the comparison with the gold answer; empty: none.
    public var command: [String] = []
    /// Seconds that it may take for one response.
    public var timeLimit = 30.0

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case command
      case timeLimit = "time_limit"
    }
  }

  /// Rejection fine-tuning's filter.
  public struct Rejection: Codable, Sendable, Equatable {
    public enum Filter: String, Codable, Sendable, CaseIterable {
      /// Correct, code ran without errors, nothing delayed, nothing distrusted.
      case efficient
      /// Correct alone: the control.
      case correct
    }
    public var filter = Filter.efficient
    /// The most samples kept of one problem, the shortest first.
    public var perProblem = 2
    /// The longest response kept, in model and hint tokens; 0: any.
    public var maxTokens = 0
    /// Files of examples that are trained on beside what was kept.
    public var mix: [String] = []

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
    /// Dynamic sampling (DAPO): groups without a signal are dropped, and more prompts are sampled, at most this many
    /// times the step's prompts; 0: every group is kept.
    public var refill = 0
    /// Takes cut-off answers out of the loss (DAPO's overlong filter).
    public var maskTruncated = false
    /// Splits a step's samples by what is known of each problem: those solved sometimes get more (Knapsack RL).
    public var knapsack = false
    /// With `knapsack`, the most samples of one prompt.
    public var knapsackMaximum = 128

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case refill
      case maskTruncated = "mask_truncated"
      case knapsack
      case knapsackMaximum = "knapsack_maximum"
    }
  }

  public enum CodingKeys: String, CodingKey, CaseIterable {
    case stage, run, model
    case newModel = "new_model"
    case refModel = "ref_model"
    case data
    case evalData = "eval_data"
    case steps, seed
    case saveMinutes = "save_minutes"
    case saveEvery = "save_every"
    case keepLast = "keep_last"
    case keepEvery = "keep_every"
    case evalEvery = "eval_every"
    case trainAuthors = "train_authors"
    case matmul, lora
    case gradientShards = "gradient_shards"
    case ranks
    case promptsPerStep = "prompts_per_step"
    case samplesPerPrompt = "samples_per_prompt"
    case updateBatch = "update_batch"
    case microBatchTokens = "micro_batch_tokens"
    case sharePrompts = "share_prompts"
    case slots, recompute, optimizer, sampling, loss, prompt, interpreter, reward, grader, tools, hint, rejection
    case groups
  }
}

/// What of a layer's forward pass is made again in the backward pass; the bits are the same either way.
public enum Recomputation: String, Codable, Sendable, CaseIterable {
  /// `layers` where the plan of a run without it does not fit the memory that is free.
  case auto
  /// All activations are kept.
  case none
  /// A layer's input alone is kept.
  case layers
}

/// How a conversation becomes text.
public enum TemplateChoice: String, Codable, Sendable, CaseIterable {
  /// The model's own template if it has one, else the plain text.
  case auto
  case chatml, deepseek, none
}
