import Foundation
import Synchronization

/// SIGINT and SIGTERM ask the work to save and end; a second one ends it at once.
enum Signals {
  private static let raised = Atomic<Int32>(0)

  static func install() {
    for signal in [SIGINT, SIGTERM] {
      Foundation.signal(signal) { number in
        if Signals.raised.exchange(number, ordering: .relaxed) != 0 { _exit(128 + number) }
      }
    }
    // A closed pipe and a file size limit are errors of the call that met them.
    Foundation.signal(SIGPIPE, SIG_IGN)
    Foundation.signal(SIGXFSZ, SIG_IGN)
  }

  static var isRaised: Bool { raised.load(ordering: .relaxed) != 0 }
  /// 130 or 143.
  static var status: Int32 { 128 + max(SIGINT, raised.load(ordering: .relaxed)) }
}
