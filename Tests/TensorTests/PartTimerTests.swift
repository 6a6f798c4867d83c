import Tensor
import Testing

@Suite struct PartTimerTests {
  @Test func timeBelongsToThePartBegunLast() {
    var times = [0.0, 1, 3, 7, 8, 20, 21][...]
    let timer = PartTimer { times.removeFirst() }
    timer.begin(.forward)  // 1: one second of nothing named
    timer.begin(.head)  // 3
    timer.begin(.forward)  // 7
    #expect(timer.take() == [.other: 1, .forward: 2 + 1, .head: 4])  // 8
    timer.begin(.forward)  // 20
    #expect(timer.take() == [.forward: 12 + 1])  // 21
    #expect(timer.total == [.other: 1, .forward: 3 + 13, .head: 4])
  }
}
