import Foundation
import FoundationXML
import PPO
import Support
import Testing
@testable import Reports

@Suite struct SummaryTests {
  private static func value(_ figures: [Evaluation.Figure: Double]) -> (Evaluation.Figure) -> Double? {
    { figures[$0] }
  }

  static let example = Summary(
    rows: [
      Summary.Row(
        stage: "base", model: "checkpoints/demo/base/model.h5", accuracy: 0.4125,
        interval: Interval(low: 0.37, high: 0.456), problems: 400,
        figure: value([.tokens: 181.25, .codeRatio: 0, .calls: 0])),
      Summary.Row(
        stage: "hint-rl", model: "checkpoints/demo/hint-rl/model.h5", accuracy: 0.9,
        interval: Interval(low: 0.875, high: 0.93), problems: 400,
        figure: value([
          .tokens: 61, .codeRatio: 1, .calls: 1.25, .execOK: 0.995, .failed: 0.15, .mended: 0.925,
          .calcShare: 0.96, .verifyShare: 0.04,
        ])),
    ],
    gains: [
      Summary.Gain(of: "hint-rl", over: "base", points: 48.75, low: 43.2, high: 54),
      Summary.Gain(of: "hint-rl", over: "hint-rft", points: -0.5),
    ])

  @Test func bothWaysWithNullsAndTheseKeys() throws {
    let data = try JSONEncoder().encode(Self.example)
    #expect(try JSONDecoder().decode(Summary.self, from: data) == Self.example)
    let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    let rows = try #require(object["rows"] as? [[String: Any]])
    #expect(
      Set(rows[0].keys) == [
        "stage", "model", "accuracy", "accuracy_low", "accuracy_high", "problems", "tokens", "code_ratio", "calls",
        "exec_ok", "failed", "mended", "calc_share", "verify_share",
      ])
    #expect(rows[0]["exec_ok"] is NSNull)
    #expect(rows[1]["exec_ok"] as? Double == 0.995)
    #expect(rows[0]["mended"] is NSNull)
    #expect(rows[1]["mended"] as? Double == 0.925)
    let gains = try #require(object["gains"] as? [[String: Any]])
    #expect(
      gains.map { Set($0.keys) } == [
        ["of", "over", "points", "low", "high"], ["of", "over", "points", "low", "high"],
      ])
    #expect(gains[1]["low"] is NSNull)
    #expect(try JSONDecoder().decode(Summary.self, from: Data("{\"rows\":[]}".utf8)) == Summary(rows: []))
  }

  /// One mark a row and chart, at the row's value on the chart's scale.
  @Test func thePictureShowsEachRow() throws {
    let picture = Self.example.picture
    #expect(try XMLDocument(data: Data(picture.utf8)).rootElement()?.name == "svg")
    for text in ["right, %", "tokens a response", ">base<", ">hint-rl<", ">41.3<", ">181.3<"] {
      #expect(picture.contains(text), "\(text)")
    }
    #expect(picture.components(separatedBy: "r=\"5\"").count - 1 == 4)
  }

  @Test func librariesAreReadFromImports() {
    #expect(Evaluation.imports("import numpy as np, sympy.abc") == ["numpy", "sympy"])
    #expect(Evaluation.imports("from math import gcd, lcm") == ["math"])
    #expect(Evaluation.imports("import os; x = 1") == ["os"])
    #expect(Evaluation.imports("important = 1").isEmpty && Evaluation.imports("import").isEmpty)
  }

  @Test func tableIsAligned() {
    #expect(
      Self.example.table == """
        stage               accuracy  tokens     code  calls  exec ok  failed  mended    calc  verify  problems
        -------  -------------------  ------  -------  -----  -------  ------  ------  ------  ------  --------
        base     41.3 % [37.0, 45.6]   181.3    0.0 %   0.00        -       -       -       -       -       400
        hint-rl  90.0 % [87.5, 93.0]    61.0  100.0 %   1.25   99.5 %  15.0 %  92.5 %  96.0 %   4.0 %       400
        hint-rl over base: +48.8 points [+43.2, +54.0]
        hint-rl over hint-rft: -0.5 points

        """)
  }

  @Test func decimalsRoundAndPad() {
    #expect(decimals(0.05, 1) == "0.1")
    #expect(decimals(-0.04, 1) == "0.0")
    #expect(decimals(-2.5, 0) == "-3")
    #expect(decimals(1.999, 2) == "2.00")
    #expect(decimals(3.04, 2) == "3.04")
    #expect(decimals(.nan, 2) == "nan")
  }
}
