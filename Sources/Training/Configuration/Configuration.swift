import PPO
import Rollout
import Support
import Tensor
import Transformer

/// What a stage does.
public enum StageKind: String, Codable, Sendable, CaseIterable {
  case sft, hint, rft, rl, eval
}

/// Everything that decides a stage's result: the defaults below, a YAML file over them, then `--set`. A run's folder
/// keeps all of it in `config.yaml`. `docs/configuration.md` says what each key means.
public struct Configuration: Codable, Sendable, Equatable {
  /// The stage that the file is for; nil: the command decides.
  public var stage: StageKind?
  /// The run's folder: a name under `checkpoints/`, or a path.
  public var run = ""
  /// Where weights come from: a model file, a run or step folder, a Hugging Face folder.
  public var model: String?
  /// A LoRA adapter over `model`: a folder of PEFT, or a step or run with `lora`.
  public var adapter: String?
  /// Random weights to start from instead of `model`.
  public var newModel: NewModel?
  /// The reference of the KL term; nil: `model` as it was at the start.
  public var refModel: String?
  /// A model that teaches: rl distils it on the policy's own responses, rft trains on its responses; nil: none.
  public var teacher: String?
  /// Problems (hint, rft, rl, eval) or training examples (sft); several files are read one after another.
  public var data: [String] = []
  /// How often the problems of each file of `data` come in `rl`, beside each other; empty: every problem comes equally
  /// often.
  public var dataWeights: [Double] = []
  /// Problems that a training stage evaluates its model on when it is done.
  public var evalData: [String] = []
  /// Optimizer steps (sft), rollout steps (rl), optimizer steps on what was kept (rft).
  public var steps = 0
  /// Keys every random draw of the run; a run is a function of configuration, data and seed.
  public var seed: UInt64 = 0
  /// Minutes between checkpoints; 0: none by time.
  public var saveMinutes = 10.0
  /// Steps between checkpoints; 0: none by steps. With both at 0 only the final model is left.
  public var saveEvery = 0
  /// How many checkpoints are kept; 0: all.
  public var keepLast = 3
  /// Besides, the checkpoint of every so many steps is kept; 0: none.
  public var keepEvery = 0
  /// RL steps between evaluations on `evalData`, with one response to each problem; 0: only at the end.
  public var evalEvery = 0
  /// Whose tokens `sft` trains on.
  public var trainAuthors: [Author] = [.model]
  /// How matrices are multiplied; `blas` alone gives up that sampling and training find the same log-probs.
  public var matmul = MatmulMode.mixed
  /// Adapters that are trained instead of the weights; rank 0: none.
  public var lora = LowRankAdapters()
  /// Parts that an update batch's gradient is summed in before a fixed tree adds them.
  public var gradientShards = 1
  /// Ranks that this process plays, one after another. The gradients are the same for any number of ranks.
  public var ranks = 1
  /// Prompts of a rollout step.
  public var promptsPerStep = 8
  /// G: responses sampled to each prompt.
  public var samplesPerPrompt = 8
  /// Responses (sft: examples) of one optimizer step.
  public var updateBatch = 64
  /// Tokens of one forward and backward pass.
  public var microBatchTokens = 4096
  /// Whether a training pass computes a prompt once for all responses to it; never with `exact`.
  public var sharePrompts = true
  /// Sequences that are sampled at the same time.
  public var slots = 64
  /// Whether layers are run again in the backward pass to save memory.
  public var recompute = Recomputation.auto
  /// The section `optimizer`.
  public var optimizer = OptimizerSettings()
  /// The section `sampling`: how responses are drawn.
  public var sampling = SamplerSettings()
  /// The section `loss`.
  public var loss = LossSettings()
  /// The section `prompt`: what comes before the response.
  public var prompt = Prompt()
  /// The section `interpreter`: limits of the code that a model runs.
  public var interpreter = InterpreterSettings()
  /// The section `reward`: what a response is worth.
  public var reward = RewardSettings()
  /// The section `grader`: who says whether a response is right.
  public var grader = Grading()
  /// The section `task`: problems that a program gives, after those of `data`.
  public var task = ProblemTask()
  /// A file of tools that the model may call by name, in the format `tool_call`.
  public var tools: String?
  /// The section `hint`, for the stage of that name.
  public var hint = Hint()
  /// The section `test_hints`: hints that an evaluation puts into responses.
  public var testHints = TestHints()
  /// The section `rejection`: what `rft` keeps.
  public var rejection = Rejection()
  /// Group filters of `rl`.
  public var groups = Groups()
  /// Whether `rl` learns from given episodes (`--replay`). Not a key of the file.
  var replays = false

  /// The defaults.
  public init() {}

  /// Whether a training pass computes a prompt once for all responses to it.
  var sharesPrompts: Bool { sharePrompts && matmul != .exact }
  /// Whether checkpoints are written before the end.
  var savesOnTheWay: Bool { saveEvery > 0 || saveMinutes > 0 || evalEvery > 0 }

  /// A model of random weights.
  public struct NewModel: Codable, Sendable, Equatable {
    /// A folder with tokenizer.json.
    public var tokenizer: String
    /// The model's shape. `vocabulary_size` may be left out: it is then the tokenizer's.
    public var shape: ModelConfiguration

    /// Random weights of `shape`.
    public init(tokenizer: String, shape: ModelConfiguration) {
      self.tokenizer = tokenizer
      self.shape = shape
    }
  }

  /// What comes before the response.
  public struct Prompt: Codable, Sendable, Equatable {
    /// How a conversation becomes text.
    public var template = TemplateChoice.auto
    /// The system message; nil: none. The model's own template may still add one.
    public var system: String?
    /// Added after the problem, unless the problem has its own `prompt`.
    public var instruction = ""
    /// The response begins with this sentence (prompt hint).
    public var hint: String?
    /// More variables of the model's own template, such as `enable_thinking`.
    public var templateVariables: [String: PlainValue] = [:]
    /// The day that the model's own template tells, as YYYY-MM-DD; nil: the one a run begins on.
    public var date: String?
    /// What becomes of problems whose prompt leaves no room for a response.
    public var overlong = OverlongPrompts.error

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case template, system, instruction, hint
      case templateVariables = "template_variables"
      case date, overlong
    }
  }

  /// Who says whether a response is right.
  public struct Grading: Codable, Sendable, Equatable {
    /// A program that does, in place of the comparison with the gold answer; empty: none.
    public var command: [String] = []
    /// Seconds that it may take for one response.
    public var timeLimit = 30.0

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case command
      case timeLimit = "time_limit"
    }
  }

  /// Problems of a program.
  public struct ProblemTask: Codable, Sendable, Equatable {
    /// A program that gives problems and may score the responses; empty: none.
    public var command: [String] = []
    /// How many problems it is asked for, from index 0.
    public var count = 100
    /// How many more are held out, as `eval_data` is.
    public var evalCount = 0
    /// Seconds that one request may take.
    public var timeLimit = 60.0

    /// The section with its defaults.
    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
      case command, count
      case evalCount = "eval_count"
      case timeLimit = "time_limit"
    }
  }

  /// The names of the keys in a configuration file.
  public enum CodingKeys: String, CodingKey, CaseIterable {
    case stage, run, model, adapter
    case newModel = "new_model"
    case refModel = "ref_model"
    case teacher, data
    case dataWeights = "data_weights"
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
    case slots, recompute, optimizer, sampling, loss, prompt, interpreter, reward, grader, task, tools, hint, rejection
    case groups
    case testHints = "test_hints"
  }
}

/// What of a layer's forward pass runs again in the backward pass. The bits are the same either way.
public enum Recomputation: String, Codable, Sendable, CaseIterable {
  /// `layers` where the run's plan does not fit the free memory otherwise.
  case auto
  /// All activations are kept.
  case none
  /// Only each layer's input is kept.
  case layers
}

/// How a conversation becomes text.
public enum TemplateChoice: String, Codable, Sendable, CaseIterable {
  /// The model's own template if it has one, else the plain text.
  case auto
  case chatml, deepseek, none
}
