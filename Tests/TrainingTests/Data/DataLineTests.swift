import Foundation
import Rollout
import Support
import TestSupport
import Testing

@testable import Training

/// Lines of training data: each has one form, and no key that nobody reads.
@Suite struct DataLineTests {
  private func read(
    _ line: String, authors: [Author] = [.model], form: String = "qwen3"
  ) throws -> [TrainingExample] {
    let folder = try ScratchFolder()
    try folder.write("{\"prompt\": \"a\", \"response\": \"b\"}\n" + line + "\n", "d.jsonl")
    let loaded = try ChatForms().model(form)
    let builder = try PromptBuilder(loaded, settings: Configuration.Prompt(), python: nil)
    do {
      let examples = try TrainingExamples(
        builder: builder, tokenizer: loaded.tokenizer, vocabulary: loaded.model.configuration.vocabularySize,
        contextLength: 512, authors: authors
      ).read([folder.path + "/d.jsonl"])
      return Array(examples.dropFirst())
    } catch let error as MartletError {
      throw MartletError(error.status, error.message.replacing(folder.path + "/", with: ""))
    }
  }

  @Test(arguments: [
    (#"{"prompt": "a", "respnse": "b"}"#, "respnse: is unknown here; did you mean response?"),
    (#"{"prompt": "a", "response": "b", "answer": "c"}"#, "answer: is unknown here; known are prompt, response"),
    (#"{"message": []}"#, "message: is unknown here; did you mean messages?"),
    (#"{"question": "a"}"#, "question: is unknown here; known are"),
    (#"{"messages": [{"role": "user", "content": "a"}], "prompt": "a"}"#, "a line has one form"),
    (#"{"prompt": "a", "response": "b", "segments": []}"#, "a line has one form"),
    (#"{"tokens": [1, 2], "authors": [["model", 2]], "response": "b"}"#, "a line has one form"),
    (#"{"tokens": [1, 2], "authors": [["model", 2]], "logprob": [0]}"#, "did you mean logprobs?"),
    (#"{"messages": [{"role": "user", "content": "a"}], "tool": []}"#, "did you mean tools?"),
    (#"{"messages": []}"#, "messages: is not a list"),
    (#"{"messages": [{"role": "user", "content": "a"}]}"#, "none of its tokens is trained on"),
    (#"{"prompt": "a"}"#, "not a training example"),
    (#"{"id": 5}"#, "not a training example"),
    ("[1]", "not a JSON object on one line"),
  ]) func whatNobodyReadsIsRefused(line: String, message: String) throws {
    let error = #expect(throws: MartletError.self) { try read(line) }
    #expect(error?.status == .data)
    #expect(error?.message.hasPrefix("d.jsonl:2: ") == true, "\(error?.message ?? "")")
    #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
  }

  @Test(arguments: [
    #"{"prompt": "a", "response": "b", "id": 1, "source": "x", "metadata": {"k": [null]}}"#,
    #"""
    {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "refusal": null}], \#
    "uuid": "1", "difficulty": "hard"}
    """#,
    #"{"tokens": [1, 2], "authors": [["model", 2]], "id": "1", "sample": 0, "reward": {"total": 1}, "level": 5}"#,
  ]) func whereALineComesFromIsLeftAside(line: String) throws {
    #expect(try read(line).count == 1)
  }

  /// `train_authors` speaks of answers as well as of segments.
  @Test func answersAreTheModels() throws {
    let line = #"{"prompt": "a", "segments": [{"author": "hint", "text": "h"}, {"author": "model", "text": "m"}]}"#
    let error = #expect(throws: MartletError.self) { try read(line, authors: [.hint]) }
    #expect(error?.message.hasPrefix("d.jsonl:1: none of its tokens is trained on") == true)
    #expect(try read(line, authors: [.hint, .model]).first?.trained.count { $0 } == 3)
  }

  /// R1's prompt has opened `<think>` already.
  @Test func aTextOfSeveralAuthorsThinksOnce() throws {
    func text(_ first: String) throws -> [Int32] {
      try #require(
        try read(
          "{\"prompt\": \"a\", \"segments\": [{\"author\": \"model\", \"text\": \"\(first)hm\"}]}", form: "r1"
        ).first
      ).tokens
    }
    let plain = try text("")
    #expect(try text("<think>\\n") == plain && text("<think>") == plain)
  }

  /// One sequence a turn, where the template drops earlier reasoning.
  @Test func aLineMayMakeSeveralExamples() throws {
    let item = try #require(try ChatForms().cases("qwen3").first { $0.name == "thinking twice" })
    #expect(try read("{\"messages\": \(item.messages.text)}").count == 2)
  }

  @Test func twoAnswersMustAgree() throws {
    let folder = try ScratchFolder()
    func gold(_ answers: String) throws -> String? {
      try folder.write("{\"problem\": \"p\", \(answers)}\n", "p.jsonl")
      return try Problem.readFile(folder.path + "/p.jsonl").first?.gold
    }
    #expect(try gold(#""gt_answer": "0.5", "answer": 0.5"#) == "0.5")
    let error = #expect(throws: MartletError.self) { try gold(#""gt_answer": "1", "answer": "2""#) }
    #expect(error?.message.contains("p.jsonl:1: answer: is \"2\", but gt_answer is \"1\"") == true)
  }
}
