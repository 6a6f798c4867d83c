import Tensor
import Testing

@Suite struct RandomTests {
  /// The known-answer vectors of Random123 (kat_vectors, philox4x32 10).
  @Test func philoxGivesThePublishedVectors() {
    #expect(
      Philox.block(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
        == SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8))
    #expect(
      Philox.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
        == SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd))
    #expect(
      Philox.block(
        counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344), key: SIMD2(0xa409_3822, 0x299f_31d0))
        == SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1))
  }

  @Test func aStreamIsAFunctionOfItsAddress() {
    var first = CounterRandom(seed: 7, path: [1, 2])
    var again = CounterRandom(seed: 7, path: [1, 2])
    let numbers = (0..<1000).map { _ in first.next() }
    #expect(numbers == (0..<1000).map { _ in again.next() })
    #expect(Set(numbers).count == 1000)
    for (seed, path) in [(7, [1]), (7, [1, 2, 0]), (7, [2, 1]), (7, []), (8, [1, 2]), (7, [1, 3])]
      as [(UInt64, [UInt64])]
    {
      var other = CounterRandom(seed: seed, path: path)
      #expect(Set((0..<1000).map { _ in other.next() }).isDisjoint(with: numbers))
    }
  }

  /// The first numbers of streams as another implementation of Philox, fed by hand with their addresses, gives them.
  @Test(
    arguments: [
      (7, [], [0x958d_9dcc_bfb5_c421, 0x39d9_8cee_7786_5936, 0x8f42_d938_2101_4dc3]),
      (9, [1, 0x100_0000_0005, 3], [0x543e_d1b4_d7ab_a785, 0x3474_6328_d38d_f1af, 0x5fcb_a1b7_b7a3_dc33]),
      (.max, [.max, 0], [0x153c_3e8b_2d24_b8e9, 0xfacf_820e_6eb9_d4a0, 0xd17a_38eb_bef0_558f]),
    ] as [(UInt64, [UInt64], [UInt64])])
  func aStreamIsTheSameForEver(seed: UInt64, path: [UInt64], numbers: [UInt64]) {
    var random = CounterRandom(seed: seed, path: path)
    let found = numbers.map { _ in random.next() }
    #expect(found == numbers)
  }

  @Test func uniformNumbersFillTheirInterval() {
    var random = CounterRandom(seed: 1, path: [3])
    var counts = [Int](repeating: 0, count: 16)
    for _ in 0..<160_000 {
      let u = random.uniform()
      #expect(u >= 0 && u < 1)
      counts[Int(u * 16)] += 1
    }
    // Six standard deviations of a binomial count.
    for count in counts { #expect(abs(count - 10_000) < 600) }
  }

  @Test func normalNumbersHaveTheMomentsOfTheirDistribution() {
    var random = CounterRandom(seed: 2, path: [9])
    let draws = (0..<200_000).map { _ in random.normal() }
    let n = Double(draws.count)
    #expect(abs(draws.reduce(0, +) / n) < 6 / n.squareRoot())
    #expect(abs(draws.reduce(0) { $0 + $1 * $1 } / n - 1) < 6 * (2 / n).squareRoot())
    #expect(abs(draws.reduce(0) { $0 + $1 * $1 * $1 * $1 } / n - 3) < 6 * (96 / n).squareRoot())
    let beyondTwo = Double(draws.count { abs($0) > 2 }) / n
    #expect(abs(beyondTwo - 0.0455) < 6 * (0.0455 / n).squareRoot())
  }
}
