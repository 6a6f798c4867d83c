import Foundation
import Synchronization

/// What SIGINT and SIGTERM do. Work that can save asks for them with `saveFirst`: the first one then raises a flag that
/// the work polls, a second one ends the program at once. Everything else ends at the first.
enum Signals {
  private static let raised = Atomic<Int32>(0)
  private static let waits = Atomic<Bool>(false)

  static func install() {
    // Touched once here: a handler must not be the first to make them.
    raised.store(0, ordering: .relaxed)
    waits.store(false, ordering: .relaxed)
    Terminal.isDrawn.store(false, ordering: .relaxed)
    for signal in [SIGINT, SIGTERM] {
      Foundation.signal(signal) { number in
        let first = Signals.raised.exchange(number, ordering: .relaxed) == 0
        guard !first || !Signals.waits.load(ordering: .relaxed) else { return }
        Signals.erase()
        _exit(128 + number)
      }
    }
    // Whoever started the program may have blocked them.
    var asked = sigset_t()
    sigemptyset(&asked)
    sigaddset(&asked, SIGINT)
    sigaddset(&asked, SIGTERM)
    pthread_sigmask(SIG_UNBLOCK, &asked, nil)
    // A closed pipe and a file size limit are errors of the call that met them.
    Foundation.signal(SIGPIPE, SIG_IGN)
    Foundation.signal(SIGXFSZ, SIG_IGN)
  }

  /// Takes away what is drawn on the terminal, with nothing that a handler may not call.
  private static func erase() {
    guard Terminal.isDrawn.load(ordering: .relaxed) else { return }
    let sequence: (UInt8, UInt8, UInt8, UInt8) = (0x0D, 0x1B, 0x5B, 0x4A)
    _ = withUnsafeBytes(of: sequence) { write(2, $0.baseAddress, $0.count) }
  }

  /// From here on the work polls `isRaised`.
  static func saveFirst() { waits.store(true, ordering: .relaxed) }

  static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }
  /// 130 or 143.
  static var status: Int32 {
    let number = raised.load(ordering: .relaxed)
    return 128 + (number == 0 ? SIGINT : number)
  }
}
