import Foundation
import Reports
import Testing

@testable import Commands

/// What a user sees while a run goes on, by the real program on a terminal.
@Suite(.serialized) struct TerminalTests {
  let program: TrainProgram

  init() throws { program = try TrainProgram() }

  private func start(columns: Int, _ more: [String] = [], environment: [String: String] = [:]) throws -> PseudoTerminal
  {
    _ = try program.makeModel()
    let stage = try program.makeStage()
    return try PseudoTerminal(
      program, ["sft", stage, "--threads", "1"] + more, columns: columns, environment: environment)
  }

  private static let endless = ["--set", "steps=1000000"]

  /// Bars keep within the window, also when it changes, and nothing of them is left after Ctrl-C.
  @Test(arguments: [40, 80, 200]) func barsFitTheWindow(columns: Int) throws {
    let terminal = try start(columns: columns, Self.endless)
    #expect(terminal.wait { $0.draws > 4 && $0.widest > 0 })
    for width in [columns / 2 + 15, 30, columns] {
      terminal.resize(columns: width)
      // The draw under way may still have the old width.
      let before = terminal.draws
      #expect(terminal.wait { $0.draws > before + 2 })
      terminal.forget()
      #expect(terminal.wait { $0.widest > 0 })
      #expect(terminal.widest < width, "\(terminal.widest) of \(width) columns")
    }
    terminal.interrupt()
    let (status, screen) = terminal.end()
    #expect(status == 130 && screen.isClean)
    #expect(!screen.text.joined().contains("█") && !screen.text.joined().contains("░"), "\(screen.text)")
    #expect(screen.text.contains { $0.hasPrefix("interrupted") } && screen.text.last?.hasSuffix("--resume") == true)
  }

  /// One line for the run, one for what it does; the last says where things are.
  @Test func theRunAndItsPhaseHaveALineEach() throws {
    let terminal = try start(columns: 100, Self.endless)
    #expect(
      terminal.wait { screen in
        let bars = screen.text.suffix(2)
        return bars.count == 2 && bars.first?.wholeMatch(of: /sft · step \d+\/1000000  [█░]+.*/) != nil
          && bars.last?.wholeMatch(of: /(update \d\/4 samples  [█░]+.*|saving)/) != nil
      })
    terminal.interrupt()
    #expect(terminal.end().status == 130)
    let (status, screen) = try start(columns: 100, ["--set", "run=./short"]).end()
    #expect(status == 0 && screen.isClean)
    let text = screen.text.joined(separator: "\n")
    #expect(text.contains("./short is finished: 3 steps") && text.contains("./short/model.h5"), "\(text)")
    #expect(text.contains("train ask ./short"), "\(text)")
  }

  @Test(arguments: [["TERM": "dumb"], ["TERM": ""]]) func aDumbTerminalGetsLines(environment: [String: String]) throws {
    let (status, screen) = try start(columns: 80, environment: environment).end()
    #expect(status == 0 && !screen.bytes.contains(0x1B) && !screen.all.contains("█"))
    #expect(screen.text.contains { $0.hasPrefix("step 1 ") })
  }

  @Test func aPipeGetsLinesAndNotOneAStep() throws {
    _ = try program.makeModel()
    let outcome = try program.run("sft", try program.makeStage(), "--set", "steps=200")
    #expect(outcome.status == 0 && !outcome.errors.contains("\u{1B}") && !outcome.errors.contains("\r"))
    let steps = outcome.errors.split(separator: "\n").count { $0.hasPrefix("step ") }
    #expect(steps >= 1 && steps < 200, "\(steps) lines for 200 steps")
    #expect(try program.lines("sft/metrics.jsonl").count == 200)
  }

  /// An error takes the bars away first.
  @Test func anErrorStandsAlone() throws {
    _ = try program.makeModel()
    let stage = try program.makeStage()
    let terminal = try PseudoTerminal(
      program, ["sft", stage, "--set", "data=nowhere.jsonl"], columns: 60, environment: [:])
    let (status, screen) = terminal.end()
    #expect(status == 74 && screen.isClean && screen.text.last?.contains("nowhere.jsonl") == true, "\(screen.text)")
  }

  /// No window is so narrow, and no name so wide, that a line does not fit.
  @Test(arguments: ["rl-model", "強化学習のモデル", "e\u{301}te\u{301}", "👩‍🚀👍🏽"])
  func linesFit(name: String) {
    var display = ProgressDisplay()
    let start = ContinuousClock.now
    display.take(.part(Part(.run, name: "grpo/seed-0", number: 2, count: 6)), start)
    display.take(.part(Part(.stage, name: name, number: 11, count: 13)), start)
    display.take(.stageStarted(name: "rl", detail: ""), start)
    display.take(.steps(Reports.Progress(what: "step", done: 0, total: 25, unit: "")), start)
    display.take(.steps(Reports.Progress(what: "step", done: 5, total: 25, unit: "")), start + .seconds(10))
    display.take(.progress(Reports.Progress(what: "sampling", done: 9, total: 64, unit: "responses", rate: 812)), start)
    let now = start + .seconds(14)
    for columns in 0...120 {
      for line in display.lines(now) {
        let text = line.text(columns)
        #expect(text.columns <= columns, "\(columns): \(text)")
      }
    }
    let lines = display.lines(now).map { $0.text(120) }
    #expect(
      lines[0].hasPrefix("run 2/6 grpo/seed-0 · stage 11/13 \(name) · step 5/25  ████")
        && lines[1].hasPrefix("sampling 9/64"))
    // 2 s a step and 20 steps, of which 4 s are gone.
    #expect(lines[0].hasSuffix("  36 s left") && lines[1].hasSuffix("  812 tokens/s"), "\(lines)")
    #expect(display.lines(now)[0].text(30).contains("step 5/25"))
  }

  @Test func charactersHaveTheirWidths() {
    let widths = [
      ("a", 1), ("é", 1), ("e\u{301}", 1), ("漢", 2), ("한", 2), ("Ａ", 2), ("👍", 2), ("█", 1),
      ("\u{200B}", 0),
    ]
    for (text, width) in widths { #expect(text.columns == width, "\(text)") }
    #expect("漢字漢字".fitted(6) == "漢字…" && "abc".fitted(3) == "abc" && "abcd".fitted(3) == "ab…")
  }
}
