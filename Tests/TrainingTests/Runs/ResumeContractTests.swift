import Checkpoint
import Foundation
import Testing

@testable import Training

/// What `--resume` and `branch` promise: a run goes on as what it is, changes are listed, and another run is refused.
@Suite struct ResumeContractTests {
  let program: TrainProgram
  let stage: String

  init() throws {
    program = try TrainProgram()
    _ = try program.makeModel()
    stage = try program.makeStage()
  }

  private func train(_ arguments: [String]) throws -> TrainProgram.Outcome {
    try program.end(program.start(["sft"] + arguments + ["--threads", "1"]))
  }

  private func set(_ values: String...) -> [String] { values.flatMap { ["--set", $0] } }

  private func hashes(_ run: String) throws -> [String] {
    try program.lines(run + "/metrics.jsonl").map { try #require($0["state_hash"] as? String) }
  }

  private func config(_ run: String) throws -> String {
    try String(contentsOfFile: program.file(run + "/config.yaml"), encoding: .utf8)
  }

  private func history(_ run: String) throws -> [(step: Int, keys: [String])] {
    try program.lines(run + "/history.jsonl").map { line in
      (
        try #require(line["from_step"] as? Int),
        try #require(line["changes"] as? [String: Any]).keys.sorted()
      )
    }
  }

  /// What was `--set` at the start need not be said again, and a finished run takes more steps to the bits of a longer
  /// one.
  @Test func aRunGoesOnWithItsOwnConfiguration() throws {
    #expect(try train([stage] + set("run=./whole", "steps=6", "seed=3")).status == 0)
    #expect(try train([stage] + set("run=./part", "seed=3")).status == 0)
    let more = try train(["part", "--resume"] + set("steps=5"))
    #expect(more.status == 0 && more.errors.contains("steps: 3 -> 5, from step 4 on"), "\(more.errors)")
    #expect(try Array(hashes("whole").prefix(5)) == hashes("part"))
    // The file says 3 steps and seed 0 still: that is no change of the file.
    let again = try train([stage, "--resume"] + set("run=./part", "steps=6"))
    #expect(again.status == 0, "\(again.errors)")
    #expect(try hashes("whole") == hashes("part"))
    let weights = try ["whole", "part"].map { weightsHash(try ModelFile.read(program.file($0 + "/model.h5")).model) }
    #expect(weights[0] == weights[1])
    #expect(try history("part").map(\.step) == [1, 4, 6])
    #expect(try history("part").map(\.keys) == [[], ["steps"], ["steps"]])
    let fewer = try train(["part", "--resume"] + set("steps=4"))
    #expect(fewer.status == 78 && fewer.errors.contains("6 are done"), "\(fewer.errors)")
    #expect(try config("part").contains("steps: 6"))
  }

  @Test(arguments: [
    "seed=4", "model=other.h5", "data=other.jsonl", "lora.rank=2", "optimizer.kind=sgd", "optimizer.state=8bit",
    "train_authors=[model, hint]", "prompt.template=chatml",
  ])
  func anotherRunIsRefused(change: String) throws {
    try program.write("other.jsonl", "{\"prompt\": \"What is 1 + 2?\", \"response\": \"3\"}\n")
    let other = try ModelFile.read(program.file("model.h5"))
    other.model.initialize(seed: 9)
    try ModelFile.write(other.model, files: other.files, to: program.file("other.h5"))
    #expect(try train([stage] + set("save_every=1")).status == 0)
    let before = try config("sft")
    let refused = try train(["sft", "--resume"] + set(change, "steps=5"))
    let key = change.prefix { $0 != "=" }
    #expect(refused.status == 78 && refused.errors.contains("\(key): "), "\(refused.errors)")
    #expect(refused.errors.contains("train branch"))
    #expect(try config("sft") == before)
    #expect(try hashes("sft").count == 3)
  }

  /// The same names with other contents are another run too; a copy under another name is not.
  @Test func filesCountByTheirContents() throws {
    #expect(try train([stage]).status == 0)
    try FileManager.default.copyItem(atPath: program.file("examples.jsonl"), toPath: program.file("copy.jsonl"))
    let copied = try train(["sft", "--resume"] + set("data=copy.jsonl", "steps=4"))
    #expect(copied.status == 0, "\(copied.errors)")
    try program.write("copy.jsonl", "{\"prompt\": \"What is 1 + 2?\", \"response\": \"3\"}\n")
    let refused = try train(["sft", "--resume"] + set("steps=5"))
    #expect(refused.status == 78 && refused.errors.contains("data: "), "\(refused.errors)")
  }

  @Test(arguments: [
    "optimizer.learning_rate=0.01", "optimizer.weight_decay=0.5", "loss.aggregation=seq_mean_token_mean",
    "update_batch=2", "matmul=exact", "gradient_shards=2", "micro_batch_tokens=512",
  ])
  func aRecordedChangeHoldsFromTheNextStep(change: String) throws {
    #expect(try train([stage]).status == 0)
    let done = try hashes("sft")
    let key = String(change.prefix { $0 != "=" })
    let refused = try train(["sft", "--resume"] + set(change))
    #expect(refused.status == 78 && refused.errors.contains("would change nothing"), "\(refused.errors)")
    let changed = try train(["sft", "--resume"] + set(change, "steps=4"))
    #expect(changed.status == 0 && changed.errors.contains("\(key): "), "\(changed.errors)")
    #expect(try Array(hashes("sft").prefix(3)) == done)
    #expect(try history("sft").last?.step == 4)
    #expect(try history("sft").last?.keys.contains(key) == true)
    // The run goes on with it without being told again.
    let plain = try train(["sft", "--resume"] + set("steps=5"))
    #expect(plain.status == 0 && !plain.errors.contains("\(key): "), "\(plain.errors)")
  }

  /// An epoch is not begun again when a step takes fewer examples.
  @Test func noExampleIsPassedOverWhenTheBatchChanges() throws {
    #expect(try train([stage] + set("steps=1", "update_batch=6")).status == 0)
    #expect(try train(["sft", "--resume"] + set("steps=2", "update_batch=2")).status == 0)
    #expect(try train([stage] + set("run=./alone", "steps=4", "update_batch=2")).status == 0)
    // Steps 2 of the one and 4 of the other learn from the same two examples: as many tokens.
    let tokens = try ["sft", "alone"].map { try program.lines($0 + "/metrics.jsonl").last?["tokens"] as? Int }
    #expect(tokens[0] != nil && tokens[0] == tokens[1])
  }

  @Test func freeChangesAreTakenOverByAFinishedRun() throws {
    #expect(try train([stage]).status == 0)
    let before = try hashes("sft")
    let changed = try train(["sft", "--resume"] + set("keep_last=1", "save_every=2", "recompute=layers"))
    #expect(changed.status == 0 && changed.errors.contains("keep_last: 3 -> 1"), "\(changed.errors)")
    #expect(try hashes("sft") == before)
    #expect(try config("sft").contains("keep_last: 1"))
  }

  @Test func aRunOfAnotherStageIsNotResumed() throws {
    #expect(try train([stage]).status == 0)
    let other = try program.run("eval", "sft", "--resume")
    #expect(other.status == 78 && other.errors.contains("use train sft"), "\(other.errors)")
  }

  /// A run works where it lies: moved, and copied without touching the original.
  @Test func movedAndCopiedRunsGoOn() throws {
    let manager = FileManager.default
    #expect(try train([stage] + set("run=./whole", "steps=5")).status == 0)
    #expect(try train([stage]).status == 0)
    try manager.copyItem(atPath: program.file("sft"), toPath: program.file("copy"))
    #expect(try train(["copy", "--resume"] + set("steps=4")).status == 0)
    #expect(try hashes("sft").count == 3 && hashes("copy").count == 4)
    try manager.moveItem(atPath: program.file("copy"), toPath: program.file("moved"))
    let moved = try train(["moved", "--resume"] + set("steps=5"))
    #expect(moved.status == 0 && !manager.fileExists(atPath: program.file("copy")), "\(moved.errors)")
    #expect(try hashes("moved") == hashes("whole"))
    let original = try train(["./moved/config.yaml", "--resume"])
    #expect(original.status == 0 && original.errors.contains("moved is finished"), "\(original.errors)")
  }

  @Test func anOlderStepGoesOnInAnotherFolder() throws {
    #expect(try train([stage] + set("save_every=1", "steps=5", "keep_last=0")).status == 0)
    let again = try train(["sft", "--resume", "--from-step", "2"])
    #expect(again.status == 0, "\(again.errors)")
    #expect(try hashes("sft-from-2") == hashes("sft"))
    let other = try train(
      ["sft", "--resume", "--from-step", "2", "--into", "./other"] + set("optimizer.learning_rate=0.1"))
    #expect(other.status == 0, "\(other.errors)")
    #expect(try Array(hashes("other").prefix(2)) == Array(hashes("sft").prefix(2)))
    #expect(try hashes("other")[2] != hashes("sft")[2])
    let refused = try train(["sft", "--resume", "--from-step", "2", "--into", "./third"] + set("seed=1"))
    #expect(refused.status == 78 && refused.errors.contains("seed: "), "\(refused.errors)")
    let none = try train(["sft", "--resume", "--from-step", "9"])
    #expect(none.status == 78 && none.errors.contains("there are: 1, 2, 3, 4, 5"), "\(none.errors)")
  }

  @Test func aBranchTakesTheOptimizerOrTheWeightsAlone() throws {
    #expect(try train([stage] + set("save_every=1", "keep_last=0")).status == 0)
    let branched = try program.run("branch", "sft", "./b", "--step", "2", "--set", "seed=7", "--set", "steps=4")
    #expect(branched.status == 0 && branched.output.contains("train sft --resume ./b"), "\(branched.errors)")
    #expect(try train(["./b", "--resume"]).status == 0)
    #expect(try hashes("b").count == 4 && Array(hashes("b").prefix(2)) == Array(hashes("sft").prefix(2)))
    #expect(try hashes("b")[2] != hashes("sft")[2])
    #expect(try history("b").map(\.step) == [1, 3])
    let bound = try program.run("branch", "sft", "./c", "--set", "lora.rank=2")
    #expect(bound.status == 78 && bound.errors.contains("--weights"), "\(bound.errors)")
    #expect(!FileManager.default.fileExists(atPath: program.file("c")))
    let weights = try program.run(
      "branch", "sft", "./w", "--step", "1", "--weights", "--set", "lora.rank=2", "--set", "steps=2")
    #expect(weights.status == 0, "\(weights.errors)")
    #expect(try train(["./w", "--resume"]).status == 0)
    #expect(try hashes("w").count == 2)
    // Its model is what step 1 left, wherever the folder lies.
    let start = weightsHash(try ModelFile.read(program.file("w/start.h5")).model)
    #expect(try start == weightsHash(ModelSource.load(program.file("sft/step-00000001")).model))
    try FileManager.default.moveItem(atPath: program.file("w"), toPath: program.file("v"))
    #expect(try train(["./v", "--resume"] + set("steps=3")).status == 0)
    let taken = try program.run("branch", "sft", "./b")
    #expect(taken.status == 78 && taken.errors.contains("is not empty"), "\(taken.errors)")
  }

  /// Saving is on by default, and what a kill costs is said.
  @Test func savingIsOn() throws {
    let outcome = try train([stage])
    #expect(outcome.errors.contains("saved every 10 minutes: a kill costs"), "\(outcome.errors)")
    #expect(FileManager.default.fileExists(atPath: program.file("sft/step-00000003/manifest.json")))
    let often = try train([stage] + set("run=./often", "save_minutes=1e-9"))
    #expect(often.status == 0, "\(often.errors)")
    #expect(try StepCheckpoint.steps(run: program.file("often")) == [1, 2, 3])
    let never = try train([stage] + set("run=./never", "save_minutes=0"))
    #expect(never.errors.contains("a kill costs all"), "\(never.errors)")
    #expect(try StepCheckpoint.steps(run: program.file("never")).isEmpty)
    let refused = try train(["never", "--resume"] + set("steps=4"))
    #expect(refused.status == 78 && refused.errors.contains("without a checkpoint"), "\(refused.errors)")
  }

  /// The page that says which key is of which kind, and the program, say the same.
  @Test func theDocumentedKindsAreTheProgramsOwn() throws {
    let page = try String(contentsOfFile: TrainProgram.root + "/docs/resume.md", encoding: .utf8)
    var documented: [String: [String]] = [:]
    for line in page.split(separator: "\n") where line.hasPrefix("| `") {
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      guard cells.count == 6 else { continue }
      let keys = cells[1].split(separator: ",").map { $0.trimmingCharacters(in: CharacterSet(charactersIn: " `")) }
      for key in keys { documented[key] = Array(cells[2...4]) }
    }
    let stages: [[StageKind]] = [[.sft, .rft], [.rl], [.hint, .eval]]
    let known = try Configuration.knownKeys()
    let leaves = known.leaves.map(\.path).filter { !$0.hasPrefix("new_model") } + ["new_model"]
    for leaf in leaves {
      let parts = leaf.split(separator: ".")
      let row = documented[leaf] ?? documented[String(parts[0])]
      let kinds = try #require(row, "docs/resume.md has no row for \(leaf)")
      for (column, stages) in stages.enumerated() {
        for stage in stages where leaf != "eval_data" || stage != .eval {
          #expect(kinds[column] == Configuration.resumeRule(leaf, stage).rawValue, "\(leaf), \(stage)")
        }
      }
    }
    #expect(documented.count > 30)
  }
}
