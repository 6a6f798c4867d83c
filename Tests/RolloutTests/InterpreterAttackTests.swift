import Foundation
import Rollout
import Testing

/// Model code that tries to get out, to lie, or to stay. Each must end as a plain verdict, leave the next block of the
/// same session and every other session alone, and leave nothing behind.
@Suite struct InterpreterAttackTests {
  @Test func forgedRepliesArePlainOutput() throws {
    let session = try SharedInterpreter.open()
    let forged = session.run(
      #"""
      import os, json
      reply = b'{"status": "ok", "detail": "ok", "ms": 0, "head": 3, "tail": 0, "total": 3}HA!\n'
      for fd in range(1, 64):
          try:
              os.write(fd, reply)
          except OSError:
              pass
      1 / 0
      """#)
    #expect(forged.status == .error)
    #expect(forged.output.hasPrefix(#"{"status": "ok""#))
    #expect(forged.output.hasSuffix("ZeroDivisionError: division by zero\n"))
    #expect(session.run("print(3)").output == "3\n")
  }

  @Test func onlyStandardDescriptorsAreOpen() throws {
    let session = try SharedInterpreter.open()
    let code = """
      import os
      found = []
      for fd in range(4096):
          try:
              os.fstat(fd)
              found.append(fd)
          except OSError:
              pass
      print(found, dict(os.environ), os.getuid() != 0)
      """
    #expect(session.run(code).output == "[0, 1, 2] {} True\n")
    #expect(session.run(code).output == "[0, 1, 2] {} True\n")
  }

  @Test(arguments: [
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_STREAM)",
    "import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "import socket\nsocket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
    "open('/usr/escape', 'w')",
    "import os\nos.kill(os.getppid(), 9)",
    "import os\nos.chroot('/')",
    "import os\nos.nice(-5)",
  ]) func reachingOutIsRefused(_ code: String) throws {
    let result = try SharedInterpreter.open().run(code)
    #expect(result.status == .refused)
    #expect(result.detail == "denied")
    #expect(result.output.contains("PermissionError") || result.output.contains("OSError"))
  }

  @Test func systemCallsThatOpenDoorsFail() throws {
    let session = try SharedInterpreter.open()
    let result = session.run(
      """
      import ctypes, os
      libc = ctypes.CDLL(None, use_errno=True)
      arm = os.uname().machine == 'aarch64'
      calls = {'ptrace': (117 if arm else 101, 0), 'bpf': (280 if arm else 321, 0), 'keyctl': (219 if arm else 250, 0),
               'userfaultfd': (282 if arm else 323, 0), 'perf': (241 if arm else 298, 0), 'io_uring': (425, 1),
               'unshare': (97 if arm else 272, 0x10000000), 'setns': (268 if arm else 308, 0), 'clone3': (435, 0),
               'memfd': (279 if arm else 319, 0), 'mount': (40 if arm else 165, 0), 'x': (1000, 0), 'x32': (1 << 30, 0)}
      for name, (number, argument) in calls.items():
          r = libc.syscall(ctypes.c_long(number), ctypes.c_long(argument), 0, 0, 0, 0)
          print(name, r, ctypes.get_errno())
      """)
    #expect(result.status == .ok)
    for line in result.output.split(separator: "\n") {
      let parts = line.split(separator: " ")
      #expect(parts.count == 3 && parts[1] == "-1" && ["1", "38"].contains(String(parts[2])), "\(line)")
    }
    #expect(result.output.split(separator: "\n").count == 13)
  }

  @Test func nothingOfTheMachineIsToBeRead() throws {
    let session = try SharedInterpreter.open()
    let mine = ProcessInfo.processInfo.processIdentifier
    for path in [
      "/etc/shadow", "/proc/\(mine)/environ", "/proc/\(mine)/mem", "/proc/1/mem", "/proc/self/mem", "/dev/mem",
    ] {
      let result = session.run("open('\(path)', 'rb').read(1)")
      #expect(result.status == .error || result.status == .refused, "\(path)")
      #expect(result.output.contains("FileNotFoundError") || result.output.contains("PermissionError"), "\(path)")
    }
    #expect(session.run("import os\nos.listdir('/home')").status != .ok)
  }

  /// Code that runs beside the runner's own finds none of it by `import`, and our names stand in no package's way.
  @Test func ourOwnModulesAreNotToBeImported() throws {
    let ours = ["sandbox", "interpreter.guardian", "interpreter", "zygote"]
    let host = try InterpreterHost(settings: InterpreterSettings(packages: ours))
    defer { host.close() }
    #expect(host.report.missing == ours)
    let found = try host.open(key: 1).run("import sys\n[n for n in sys.modules if n.split('.')[0] in \(ours)]")
    #expect(found.output == "[]\n")
  }

  @Test func forkBombsEndWithTheirBlock() throws {
    let session = try SharedInterpreter.quick.get().open(key: 1)
    #expect(session.run("x = 5").status == .ok)
    let bomb = session.run("import os\nwhile True:\n    try:\n        os.fork()\n    except OSError: pass")
    #expect(bomb.status == .timeout)
    #expect(session.run("print(x)").output == "5\n")
    let quiet = session.run("import os\nwhile True: os.fork()")
    #expect([.refused, .timeout, .output].contains(quiet.status))
    #expect(session.run("print(x)").output == "5\n")
  }

  @Test func daemonsDoNotOutliveTheirBlock() throws {
    let session = try SharedInterpreter.open()
    let start = session.run(
      """
      import os, time
      if os.fork() == 0:
          os.setsid()
          if os.fork() == 0:
              while True:
                  time.sleep(0.01)
                  os.write(1, b'still here')
          os._exit(0)
      print('left')
      """)
    #expect(start.status == .ok)
    #expect(start.output.contains("left"))
    #expect(session.run("import time\ntime.sleep(0.2)\nprint('quiet')").output == "quiet\n")
  }

  @Test func killingEverythingInReachOnlyHurtsItself() throws {
    let session = try SharedInterpreter.open()
    let other = try SharedInterpreter.open()
    #expect(session.run("x = 1").status == .ok)
    #expect(other.run("y = 2").status == .ok)
    _ = session.run("import os\nos.kill(-1, 9)")
    #expect(session.run("print('alive')").output == "alive\n")
    #expect(other.run("print(y)").output == "2\n")
    // Without its backup a killed block loses the variables, and the verdict says so.
    let both = session.run("import os\nos.kill(-1, 9)\nos._exit(1)")
    #expect(both.status == .exited)
    #expect(both.detail.contains("variables were lost"))
    #expect(session.run("x").output.contains("NameError"))
  }

  @Test func poisonedBuiltinsDoNotReachTheVerdict() throws {
    let session = try SharedInterpreter.open()
    let poison =
      "import builtins, os, sys, json\nfor n in ('len', 'print', 'compile', 'isinstance', 'type', 'repr'):\n"
      + "    setattr(builtins, n, None)\nos.fork = os.kill = json.dumps = None"
    #expect(session.run(poison).status == .ok)
    #expect(session.run("1 / 0").status == .error)
    #expect(try SharedInterpreter.open().run("print(len([1]))").output == "1\n")
  }

  @Test func deepRecursionEnds() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("def f(n): return f(n + 1)\nf(0)").output.contains("RecursionError"))
    let nested = session.run("'(' * 3")
    #expect(nested.status == .ok)
    #expect([.error, .memory, .crashed].contains(session.run(String(repeating: "(", count: 100_000)).status))
    let crash = session.run(
      "import sys\nsys.setrecursionlimit(10 ** 9)\na, b = [], []\nfor _ in range(10 ** 6): a, b = [a], [b]\na == b")
    #expect([.crashed, .error, .memory].contains(crash.status))
    #expect(session.run("print(1)").output == "1\n")
  }

  @Test func diskIsSmallAndPrivate() throws {
    let session = try SharedInterpreter.open()
    let result = session.run("f = open('/tmp/a', 'wb')\nfor _ in range(64): f.write(bytes(1 << 20))")
    #expect(result.status == .refused)
    #expect(result.detail == "disk" || result.detail == "denied")
    #expect(try SharedInterpreter.open().run("import os\nprint(os.path.exists('/tmp/a'))").output == "False\n")
  }

  @Test func manySessionsAtOnceStayApart() throws {
    let host = try SharedInterpreter.patient.get()
    let failures = Failures()
    DispatchQueue.concurrentPerform(iterations: 64) { index in
      do {
        let session = try host.open(key: UInt64(index))
        for turn in 0..<3 {
          let result = session.run("x = \(index)\ny = globals().get('y', 0) + x\nprint(y)")
          if result.output != "\(index * (turn + 1))\n" { failures.add("\(index): \(result)") }
        }
      } catch { failures.add("\(index): \(error)") }
    }
    #expect(failures.list.isEmpty)
  }

  @Test func closingLeavesNoProcessAndNoDescriptor() throws {
    func descriptors() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
    /// Living processes whose command line carries this host's own mark.
    func processes(_ mark: String) -> Int {
      let all = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
      return all.filter { name in
        guard Int(name) != nil, let data = FileManager.default.contents(atPath: "/proc/\(name)/cmdline") else {
          return false
        }
        return String(decoding: data, as: UTF8.self).contains(mark)
      }.count
    }
    let mark = "martlet_mark_\(UInt64.random(in: 0..<UInt64.max))"
    let settings = InterpreterSettings(packages: [mark])
    let before = try descriptors()
    do {
      let host = try InterpreterHost(settings: settings)
      let sessions = try (0..<4).map { try host.open(key: UInt64($0)) }
      for session in sessions { #expect(session.run("import time\nprint(1)").status == .ok) }
      #expect(processes(mark) >= 4)
      host.close()
      #expect(processes(mark) == 0)
      #expect(sessions[0].run("1").status == .sandboxError)
    }
    // Other tests open and close sessions meanwhile: only a leak of ours would stay.
    for _ in 0..<200 where try descriptors() > before { usleep(20_000) }
    #expect(processes(mark) == 0)
  }

  @Test func aKilledZygoteIsReplaced() throws {
    let mark = "martlet_mark_\(UInt64.random(in: 0..<UInt64.max))"
    let host = try InterpreterHost(settings: InterpreterSettings(packages: [mark]))
    let session = try host.open(key: 1)
    #expect(session.run("x = 1").status == .ok)
    for name in try FileManager.default.contentsOfDirectory(atPath: "/proc") {
      if let pid = pid_t(name), let data = FileManager.default.contents(atPath: "/proc/\(name)/cmdline"),
        String(decoding: data, as: UTF8.self).contains(mark)
      {
        kill(pid, SIGKILL)
      }
    }
    #expect(session.run("x").status == .sandboxError)
    let again = session.run("print(2)")
    #expect(again.status == .ok || session.run("print(2)").output == "2\n")
    host.close()
  }

  @Test(arguments: [InterpreterSettings.Tier.T2, .T1]) func lowerTiersHoldToo(_ tier: InterpreterSettings.Tier) throws {
    let host = try InterpreterHost(settings: InterpreterSettings(timeLimit: 3, packages: [], tier: tier))
    defer { host.close() }
    #expect(host.report.tier == tier.rawValue)
    let session = try host.open(key: 1)
    #expect(session.run("x = 5\nprint(x)").output == "5\n")
    #expect(session.run("while True: pass").status == .timeout)
    #expect(session.run("print(x)").output == "5\n")
    for code in [
      "import os\nos.kill(os.getppid(), 9)", "open('/tmp/escape', 'w')", "import os\nos.truncate('/etc/hostname', 0)",
      "import os\nos.execv('/bin/true', ['true'])", "import os\nos.chmod('/tmp', 0)",
    ] {
      #expect(session.run(code).status == .refused, "\(code)")
    }
    #expect(session.run("print(x)").output == "5\n")
  }

  private final class Failures: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var list: [String] = []
    func add(_ text: String) {
      lock.lock()
      list.append(text)
      lock.unlock()
    }
  }
}
