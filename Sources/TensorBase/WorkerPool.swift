import CIntrinsics
import Glibc
import Synchronization

/// A fixed team of threads that carries out one list of tasks at a time.
///
/// Which thread carries out a task is not specified, and no result may depend on it: every task writes its own part of
/// the output, and what a task computes depends on its index alone.
///
/// Each worker starts on its own contiguous part of the list, in order (so caches stay warm from call to call), and a
/// worker that is done takes tasks off the end of another's part. A thread that the machine keeps busy with other work
/// therefore costs a task's time, not half of the list's.
public final class WorkerPool: @unchecked Sendable {
  /// The number of workers, the calling thread included.
  public let threadCount: Int

  private let shared: PoolState
  private var threads: [pthread_t] = []

  /// Starts `threadCount - 1` threads; the caller of `run` is worker 0.
  public init(threadCount: Int = WorkerPool.physicalCoreCount) {
    precondition(threadCount >= 1, "WorkerPool: threadCount \(threadCount) must be at least 1")
    self.threadCount = threadCount
    shared = PoolState(workerCount: threadCount)
    for index in 1..<max(threadCount, 1) {
      var thread = pthread_t()
      let start = Unmanaged.passRetained(WorkerStart(state: shared, index: index)).toOpaque()
      let status = pthread_create(
        &thread, nil,
        { raw in
          let start = Unmanaged<WorkerStart>.fromOpaque(raw!).takeRetainedValue()
          start.state.work(as: start.index)
          return nil
        }, start)
      // Fewer threads are slower, never wrong: the others take over the part of one that is missing.
      guard status == 0 else {
        Unmanaged<WorkerStart>.fromOpaque(start).release()
        break
      }
      threads.append(thread)
    }
  }

  deinit {
    shared.stop()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Calls `body` with every number in `0..<taskCount`, each once, and returns when all calls have returned.
  ///
  /// A call made while another is under way (from inside a task, or from a second thread) runs all of its tasks on the
  /// calling thread.
  public func run(_ taskCount: Int, _ body: (Int) -> Void) {
    if taskCount > 1, threadCount > 1, taskCount < Int(Int32.max), shared.acquire() {
      withoutActuallyEscaping(body) { shared.run(taskCount, $0) }
      shared.release()
    } else {
      var task = 0
      while task < taskCount {
        body(task)
        task &+= 1
      }
    }
  }
}

private final class WorkerStart {
  let state: PoolState
  let index: Int
  init(state: PoolState, index: Int) {
    self.state = state
    self.index = index
  }
}

/// What the threads share. A part is `next` in the low half and `end` in the high half of one word, so that owner and
/// thieves take tasks by one compare-and-exchange.
private final class PoolState: @unchecked Sendable {
  private let workerCount: Int
  private let spins: Int
  /// One part a worker, each on cache lines of its own.
  private let parts: UnsafeMutablePointer<Part>
  private var body: ((Int) -> Void)?

  private let busy = Atomic<Bool>(false)
  private let generation = Atomic<Int>(0)
  private let remaining = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private let parkedWorkers = Atomic<Int>(0)
  private let callerParked = Atomic<Bool>(false)

  private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let workArrived = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private let workDone = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  struct Part: ~Copyable {
    let span = Atomic<UInt64>(0)
    // Two cache lines: the hardware fetches them in pairs.
    let padding: (SIMD16<UInt64>) = .zero
  }

  init(workerCount: Int) {
    self.workerCount = workerCount
    // About 30 microseconds: longer than the gap between two regions of a decoding step, shorter than a time slice
    // that a neighbour would miss. With more threads than cores waiting threads must give way at once.
    spins = workerCount <= WorkerPool.physicalCoreCount ? 1500 : 10
    parts = .allocate(capacity: workerCount)
    for index in 0..<workerCount { (parts + index).initialize(to: Part()) }
    pthread_mutex_init(lock, nil)
    pthread_cond_init(workArrived, nil)
    pthread_cond_init(workDone, nil)
  }

  deinit {
    pthread_cond_destroy(workDone)
    pthread_cond_destroy(workArrived)
    pthread_mutex_destroy(lock)
    parts.deinitialize(count: workerCount)
    parts.deallocate()
    lock.deallocate()
    workArrived.deallocate()
    workDone.deallocate()
  }

  func acquire() -> Bool {
    !busy.load(ordering: .relaxed) && !busy.exchange(true, ordering: .acquiring)
  }

  func release() { busy.store(false, ordering: .releasing) }

  func run(_ taskCount: Int, _ body: @escaping (Int) -> Void) {
    self.body = body
    remaining.store(taskCount, ordering: .relaxed)
    // A worker that is still looking around from the last call may take a task as soon as a part is stored: the task
    // is a real one, and it reads `body` only after it has the task.
    for worker in 0..<workerCount {
      let next = UInt64(taskCount * worker / workerCount)
      let end = UInt64(taskCount * (worker + 1) / workerCount)
      parts[worker].span.store(next | end << 32, ordering: .releasing)
    }
    generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
    if parkedWorkers.load(ordering: .sequentiallyConsistent) > 0 {
      pthread_mutex_lock(lock)
      pthread_cond_broadcast(workArrived)
      pthread_mutex_unlock(lock)
    }
    takeTasks(as: 0)
    waitForOthers()
    self.body = nil
  }

  func work(as worker: Int) {
    var seen = 0
    while true {
      seen = waitForWork(after: seen)
      if stopping.load(ordering: .acquiring) { return }
      takeTasks(as: worker)
    }
  }

  func stop() {
    stopping.store(true, ordering: .releasing)
    generation.wrappingAdd(1, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(lock)
    pthread_cond_broadcast(workArrived)
    pthread_mutex_unlock(lock)
  }

  private func takeTasks(as worker: Int) {
    var finished = 0
    while let task = takeFirst(of: worker) {
      body!(task)
      finished &+= 1
    }
    for offset in 1..<workerCount {
      let victim = (worker + offset) % workerCount
      while let task = takeLast(of: victim) {
        body!(task)
        finished &+= 1
      }
    }
    guard finished > 0 else { return }
    let before = remaining.wrappingSubtract(finished, ordering: .sequentiallyConsistent).oldValue
    if before == finished, worker != 0, callerParked.load(ordering: .sequentiallyConsistent) {
      pthread_mutex_lock(lock)
      pthread_cond_signal(workDone)
      pthread_mutex_unlock(lock)
    }
  }

  private func takeFirst(of worker: Int) -> Int? {
    var span = parts[worker].span.load(ordering: .acquiring)
    while true {
      let next = span & 0xffff_ffff
      guard next < span >> 32 else { return nil }
      let (exchanged, original) = parts[worker].span.weakCompareExchange(
        expected: span, desired: span &+ 1, ordering: .acquiringAndReleasing)
      if exchanged { return Int(next) }
      span = original
    }
  }

  private func takeLast(of worker: Int) -> Int? {
    var span = parts[worker].span.load(ordering: .acquiring)
    while true {
      let end = span >> 32
      guard span & 0xffff_ffff < end else { return nil }
      let (exchanged, original) = parts[worker].span.weakCompareExchange(
        expected: span, desired: span &- (1 << 32), ordering: .acquiringAndReleasing)
      if exchanged { return Int(end &- 1) }
      span = original
    }
  }

  private func waitForWork(after seen: Int) -> Int {
    for _ in 0..<spins {
      let now = generation.load(ordering: .acquiring)
      if now != seen { return now }
      martlet_pause()
    }
    pthread_mutex_lock(lock)
    parkedWorkers.wrappingAdd(1, ordering: .sequentiallyConsistent)
    var now = generation.load(ordering: .sequentiallyConsistent)
    while now == seen {
      pthread_cond_wait(workArrived, lock)
      now = generation.load(ordering: .sequentiallyConsistent)
    }
    parkedWorkers.wrappingSubtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(lock)
    return now
  }

  private func waitForOthers() {
    for _ in 0..<spins {
      if remaining.load(ordering: .acquiring) == 0 { return }
      martlet_pause()
    }
    pthread_mutex_lock(lock)
    callerParked.store(true, ordering: .sequentiallyConsistent)
    while remaining.load(ordering: .sequentiallyConsistent) != 0 { pthread_cond_wait(workDone, lock) }
    callerParked.store(false, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(lock)
  }
}
