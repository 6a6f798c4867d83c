import PPO
import Support
import Tensor
import Tokenization
import Transformer

/// The frozen model that an on-policy distillation learns from. It may be of any size, but reads the same tokens.
final class Teacher {
  private let pass: TrainingPass
  private let microBatchTokens: Int
  /// Tokens that its context holds.
  private let limit: Int
  /// How many of its likeliest tokens it names at each place, and below which id.
  private let likeliest: (count: Int, below: Int)

  /// - Throws: `MartletError` when the model cannot be read, or reads other tokens than `student`.
  init(_ path: String, of student: LoadedModel, _ configuration: Configuration, context: StageContext) throws {
    let model = try LoadedModel.teacher(path, of: student, pool: context.pool).model
    pass = TrainingPass(model: model, gradients: nil, matmul: configuration.matmul, pool: context.pool)
    pass.timer = context.timer
    microBatchTokens = configuration.microBatchTokens
    limit = model.configuration.contextLength
    likeliest = (configuration.loss.teacherTopK, student.model.configuration.vocabularySize)
  }

  /// - Throws: `MartletError` (configuration) when it cannot read a sequence of `count` tokens.
  func requireContext(of count: Int) throws {
    guard count > limit else { return }
    throw MartletError(
      .configuration,
      "teacher: its context holds \(limit) tokens, and a prompt with its response may have \(count); lower "
        + "sampling.max_tokens, or name a teacher that reads more")
  }

  /// Fills in `teacherLogProbs`, and with `teacher_top_k` what the KL to the teacher needs.
  func addViews(to samples: inout [LearningSample], _ term: TeacherTerm) {
    let scores = Learner.score(samples, pass: pass, microBatchTokens: microBatchTokens, likeliest: likeliest)
    for index in samples.indices {
      samples[index].policy.teacherLogProbs = samples[index].spread(scores.logProbs[index])
      guard likeliest.count > 0 else { continue }
      let views = samples[index].spread(
        scores.likeliest[index], outside: TopLogProbs(places: [], logProbs: [], rest: 0))
      samples[index].teacher = (views, term.weights(samples[index].policy))
    }
  }
}

extension LoadedModel {
  /// The model at `path`, which is to teach `student`.
  /// - Throws: `MartletError`: what reading throws; configuration when its tokens or its context do not fit.
  static func teacher(_ path: String, of student: LoadedModel, pool: WorkerPool) throws -> LoadedModel {
    let teacher = try load(path, valueHead: false, pool: pool)
    func refuse(_ text: String) -> MartletError { MartletError(.configuration, "teacher: \(path): \(text)") }
    let (own, other) = (student.tokenizer, teacher.tokenizer)
    let count = max(own.vocabularyCount, other.vocabularyCount)
    if let id = (0..<Int32(count)).first(where: { own.bytes($0) != other.bytes($0) }) {
      func text(_ tokenizer: Tokenizer) -> String {
        let bytes = tokenizer.bytes(id)
        return bytes.isEmpty ? "nothing" : "\"\(String(decoding: bytes, as: UTF8.self))\""
      }
      throw refuse(
        "token \(id) is \(text(other)) there, and \(text(own)) in the model; name a teacher with the same tokenizer")
    }
    // A head may be padded beyond the tokenizer, by more in larger models.
    let (rows, studentRows) = (
      teacher.model.configuration.vocabularySize, student.model.configuration.vocabularySize
    )
    guard rows >= studentRows else {
      throw refuse("has \(rows) ids, the model \(studentRows); name a teacher that knows all of them")
    }
    return teacher
  }

  /// `student` with the weights of the teacher at `path`: its prompts, tokens and stop tokens, another's responses.
  static func taught(_ student: LoadedModel, by path: String, pool: WorkerPool) throws -> LoadedModel {
    var taught = student
    taught.model = try teacher(path, of: student, pool: pool).model.standingIn(for: student.model.configuration)
    return taught
  }
}
