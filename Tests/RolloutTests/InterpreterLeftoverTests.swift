import Rollout
import Testing

/// What a block leaves behind for later: the next block is judged by itself, with the variables there were.
@Suite struct InterpreterLeftoverTests {
  private static let thread = """
    import ctypes
    thread = ctypes.c_ulong()
    @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
    def work(_):
        import os, time
        time.sleep(0.3)
        os._exit(3)
    ctypes.CDLL(None).pthread_create(ctypes.byref(thread), None, work, None)
    """

  @Test(arguments: [
    "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.2)",
    "import signal\ndef f(*_): raise KeyboardInterrupt\nsignal.signal(signal.SIGALRM, f)\n"
      + "signal.setitimer(signal.ITIMER_REAL, 0.05, 0.0005)",
    "import signal\ndef f(*_): raise KeyboardInterrupt\nsignal.signal(signal.SIGCONT, f)",
    "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))",
    "import sys\ndef f(*_): raise SystemExit\nsys.settrace(f)",
    "import sys\ndef f(*_): raise SystemExit\nsys.setprofile(f)",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.2, exit=True)",
    thread,
    "import sys\nsys.stdout.close()", "import sys\nsys.stdout.detach()", "import sys\nsys.stdout.buffer.close()",
    "import sys\nsys.stdout.close()\n1 / 0",
    "import os\nfor p in range(1, 300):\n    try: os.kill(p, 18)\n    except OSError: pass\n"
      + "try: os.kill(0, 18)\nexcept OSError: pass",
    "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETFL, os.O_NONBLOCK | os.O_WRONLY)\nfcntl.fcntl(1, 1031, 4096)",
    "import resource\nfor k in range(16):\n    try: resource.setrlimit(k, (1, 1))\n"
      + "    except (OSError, ValueError): pass",
  ]) func nothingWaitsForTheNextBlock(_ code: String) throws {
    for tier in InterpreterSettings.Tier.allCases {
      let host = try SharedInterpreter.host(tier)
      let session = try host.open(key: 1)
      defer { session.close() }
      #expect(session.run("import ctypes, faulthandler, fcntl, resource, signal, time\nx = 41").status == .ok)
      let first = session.run(code)
      // Where a process cannot stop itself alone, a backup that was woken stops its runner too.
      #expect([.ok, .error, .refused, .exited, .timeout].contains(first.status), "\(tier): \(first)")
      let next = session.run("time.sleep(0.4)\nprint('y' * 6000)")
      #expect(next.status == .ok && next.output == String(repeating: "y", count: 6000) + "\n", "\(tier): \(next)")
      let last = session.run("print(x + 1)")
      #expect(last.status == .ok && last.output == "42\n", "\(tier): \(last)")
    }
  }

  /// Children that have ended take a process's place until they are collected: the next block's backup needs one.
  @Test func processesThatWereUsedUpAreThereAgain() throws {
    let bomb = "import os, time\nwhile True:\n    if os.fork() == 0: os._exit(time.sleep(60))"
    let session = try SharedInterpreter.host(.T3).open(key: 1)
    defer { session.close() }
    for _ in 0..<2 {
      #expect(session.run(bomb).status == .refused)
      #expect(session.run("6 * 7").output == "42\n")
    }
  }

  /// Whoever owns a descriptor is sent a signal by the kernel itself, past the rules on kill: found to stop other
  /// sessions where they have the same user.
  @Test func descriptorsSendNoSignals() throws {
    let code = """
      import fcntl, os
      refused = 0
      for command, argument in ((8, os.getppid()), (10, 9), (15, b'\\0' * 8), (1026, 1)):
          try: fcntl.fcntl(1, command, argument)
          except PermissionError: refused += 1
      try: fcntl.ioctl(1, 0x8901, b'\\0\\0\\0\\0')
      except PermissionError: refused += 1
      print(refused, fcntl.fcntl(1, fcntl.F_GETFL) & 3)
      """
    for tier in InterpreterSettings.Tier.allCases {
      let session = try SharedInterpreter.host(tier).open(key: 1)
      defer { session.close() }
      #expect(session.run("import fcntl").status == .ok)
      #expect(session.run(code).output == "5 1\n", "\(tier)")
    }
  }

  /// Limits can be read and not set; files that cannot be read cannot be watched either.
  @Test func limitsAndWatchesAreRefused() throws {
    for tier in InterpreterSettings.Tier.allCases {
      let session = try SharedInterpreter.host(tier).open(key: 1)
      defer { session.close() }
      #expect(
        session.run("import ctypes, resource\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])").output == "64\n")
      #expect(session.run("resource.setrlimit(resource.RLIMIT_CPU, (1, 1))").status != .ok, "\(tier)")
      let watch = session.run(
        "c = ctypes.CDLL(None)\nf = c.inotify_init()\nprint(c.inotify_add_watch(f, b'/etc/passwd', 0xfff))")
      #expect(watch.output == "-1\n", "\(tier): \(watch)")
    }
  }

  /// A runner that writes nonsense where its verdict belongs is a crashed one: "not to be scored" would be a way out.
  @Test func aForgedVerdictIsAVerdict() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("x = 41").status == .ok)
    for code in [
      "class I(int):\n    def __str__(self): return 'ok\\nok\\n1' * 9000\n"
        + "    __repr__ = __format__ = __str__\nraise SystemExit(I(3))",
      "class I(int):\n    def __str__(self): raise ValueError\n"
        + "    __repr__ = __format__ = __str__\nraise SystemExit(I(3))",
      "raise SystemExit(10 ** 5000 + 3)",
    ] {
      let left = session.run(code)
      #expect(left.status == .exited && left.detail.hasPrefix("exit status "), "\(left)")
    }
    let forged = session.run(
      """
      import os, struct, sys
      frame = sys._getframe()
      while not hasattr(frame.f_locals.get('self'), 'page'): frame = frame.f_back
      page = frame.f_locals['self'].page
      page[32:4096] = b'\\xff' * 4064
      struct.pack_into('I', page, 20, os.getpid())
      struct.pack_into('I', page, 0, 4)
      os.kill(os.getpid(), 19)
      """)
    #expect(forged.status == .crashed, "\(forged)")
    #expect(session.run("print(x + 1)").output == "42\n")
  }
}
