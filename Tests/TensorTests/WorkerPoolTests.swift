import Foundation
import Synchronization
import Tensor
import Testing

@Suite struct WorkerPoolTests {
  @Test(arguments: [1, 2, 3, 8]) func everyTaskRunsOnce(threads: Int) {
    let pool = WorkerPool(threadCount: threads)
    for count in [0, 1, 2, 3, 7, 8, 9, 100, 1001] {
      let counts = UnsafeMutablePointer<Int32>.allocate(capacity: max(count, 1))
      defer { counts.deallocate() }
      counts.initialize(repeating: 0, count: count)
      for _ in 0..<50 { pool.run(count) { counts[$0] += 1 } }
      #expect((0..<count).allSatisfy { counts[$0] == 50 }, "\(count) tasks")
    }
  }

  @Test func writesAreSeenAfterTheCallAndManySmallCallsSurvive() {
    let pool = WorkerPool(threadCount: 3)
    let sums = UnsafeMutablePointer<Int>.allocate(capacity: 4)
    defer { sums.deallocate() }
    sums.initialize(repeating: 0, count: 4)
    for round in 0..<20_000 {
      pool.run(4) { sums[$0] &+= round }
      // Sometimes long enough that the workers park.
      if round % 4000 == 0 { usleep(2000) }
    }
    #expect((0..<4).allSatisfy { sums[$0] == 20_000 * 19_999 / 2 })
  }

  @Test func aCallInsideATaskRunsAtOnce() {
    let pool = WorkerPool(threadCount: 2)
    let total = Atomic<Int>(0)
    pool.run(6) { _ in pool.run(5) { _ in total.add(1, ordering: .relaxed) } }
    #expect(total.load(ordering: .relaxed) == 30)
  }

  @Test func twoThreadsMayShareAPool() {
    let pool = WorkerPool(threadCount: 2)
    let total = Atomic<Int>(0)
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      for _ in 0..<500 { pool.run(3) { _ in total.add(1, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 6000)
  }

  @Test func poolsComeAndGo() {
    let total = Atomic<Int>(0)
    for _ in 0..<100 {
      let first = WorkerPool(threadCount: 2)
      let second = WorkerPool(threadCount: 4)
      first.run(5) { _ in second.run(2) { _ in total.add(1, ordering: .relaxed) } }
    }
    #expect(total.load(ordering: .relaxed) == 1000)
  }
}
