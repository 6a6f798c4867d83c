import Foundation
import Rollout
import Testing

/// Two warm interpreters for all tests: starting one takes a second. The patient one's limit is far above what any of
/// its blocks needs, so that a busy machine fails no test.
enum SharedInterpreter {
  static let patient = Result { try InterpreterHost(settings: InterpreterSettings(timeLimit: 60)) }
  static let quick = Result { try InterpreterHost(settings: InterpreterSettings(timeLimit: 1)) }
  static func open(key: UInt64 = 7) throws -> InterpreterSession { try patient.get().open(key: key) }

  private static let tiers = InterpreterSettings.Tier.allCases.map { tier in
    (tier, Result { try InterpreterHost(settings: InterpreterSettings(timeLimit: 8, packages: [], tier: tier)) })
  }
  /// The interpreter of one tier.
  static func host(_ tier: InterpreterSettings.Tier) throws -> InterpreterHost {
    try #require(tiers.first { $0.0 == tier }).1.get()
  }
}

@Suite struct InterpreterTests {
  @Test func variablesPersistAndPrintsComeBack() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("x = 40\nprint('set')").output == "set\n")
    let second = session.run("print(x + 2)")
    #expect(second.status == .ok)
    #expect(second.detail == "ok")
    #expect(second.output == "42\n")
    #expect(second.ms > 0)
  }

  @Test(arguments: [
    ("print('p')\n7", "p\n7\n"), ("print('p', end='')\n7", "p\n7\n"),
    ("import sys\nprint('n', file=sys.stderr)\n6*7", "n\n42\n"),
    ("import warnings\nwarnings.warn('old')\n6*7", "<cell 1>:2: UserWarning: old\n  warnings.warn('old')\n42\n"),
    ("print('p')\nprint('q')", "p\nq\n"), ("print('p')\n[].append(1)", "p\n"), ("print('p')\nx = 7", "p\n"),
    ("import sys\nsys.stdout.write('hi\\n')", "hi\n3\n"), ("print('p'); 'a;b'", "p\n'a;b'\n"),
    ("for i in [1, 2]: i\n(i)", "2\n"),
    // A semicolon says that the value is not wanted.
    ("print('p')\n7;", "p\n"), ("7 ; # so", ""), ("(7\n);", ""), ("'é;'\r\n'é' ;", ""), ("7 # ;", "7\n"),
    ("'é;'", "'é;'\n"),
    ("import sys, io\nsys.stdout = io.StringIO()\nprint('kept')\n7", "7\n"),
    (
      "import sys, io\nsys.stdout = io.TextIOWrapper(io.FileIO(1, 'w', closefd=False))\n_ = sys.stdout.write('p')\n7",
      "p7\n"
    ),
  ]) func theLastValueIsShownAsInANotebook(code: String, output: String) throws {
    let result = try SharedInterpreter.open().run(code)
    #expect(result.status == .ok && result.output == output)
  }

  /// Whatever of it does not work ends at once and says what to use instead; the session goes on.
  @Test(
    arguments: InterpreterSettings.Tier.allCases,
    [
      "from multiprocessing import Pool\nwith Pool(2) as p: print(p.map(abs, [-1, 2]))",
      "from concurrent.futures import ProcessPoolExecutor\n"
        + "with ProcessPoolExecutor(2) as p: print(list(p.map(abs, [-1])))",
      "import multiprocessing as mp\nq = mp.Queue()\nq.put(1)\nprint(q.get())",
      "import multiprocessing as mp\nmp.Lock()",
      "import multiprocessing as mp\nprint(mp.Array('i', 3)[:])",
      "import multiprocessing as mp\nprint(mp.Manager().dict())",
      "from multiprocessing.pool import ThreadPool\nprint(ThreadPool(2).map(abs, [-1, 2]))",
      "import multiprocessing as mp\np = mp.get_context('forkserver').Process(target=print)\np.start()\np.join()",
    ])
  func multiprocessingIsRefusedWithAReason(tier: InterpreterSettings.Tier, code: String) throws {
    let session = try SharedInterpreter.host(tier).open(key: 7)
    #expect(session.run("kept = 41").status == .ok)
    let result = session.run(code)
    #expect(result.status == .refused, "\(result)")
    #expect(result.output.contains(" is not available in the sandbox: use "), "\(result.output)")
    #expect(session.run("print(kept + 1)").output == "42\n")
  }

  @Test(arguments: [
    "import os\npid = os.fork()\nif pid == 0:\n    print('child')\n    os._exit(0)\n"
      + "os.waitpid(pid, 0)\nprint('parent')",
    "from multiprocessing import Process\np = Process(target=print, args=('child',))\n"
      + "p.start()\np.join()\nprint('parent')",
  ]) func plainProcessesRun(code: String) throws {
    #expect(try SharedInterpreter.open().run(code).output == "child\nparent\n")
  }

  /// The other end of a pipe that was closed, a file that is not there: not the sandbox's doing.
  @Test func ordinaryErrorsStayErrors() throws {
    let session = try SharedInterpreter.open()
    let ended = session.run("from multiprocessing import Pipe\na, b = Pipe()\nb.close()\na.recv()")
    #expect(ended.status == .error && ended.output.hasSuffix("EOFError\n"))
    let broken = session.run("from multiprocessing import Pipe\na, b = Pipe()\nb.close()\na.send(1)")
    #expect(broken.status == .error && broken.output.contains("BrokenPipeError"))
    let own = session.run(
      "class E(ModuleNotFoundError):\n    @property\n    def name(self): raise KeyError\nraise E('mine')")
    #expect(own.status == .error && own.output.hasSuffix("E: mine\n"))
    let module = session.run("import no_such_module")
    #expect(module.status == .error && module.output.hasSuffix("No module named 'no_such_module'\n"))
    #expect(session.run("open('/tmp/none')").status == .error)
  }

  @Test func valuesAreShownByTheirRepresentation() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("1 + 1").output == "2\n")
    #expect(session.run("'a' + 'b'").output == "'ab'\n")
    #expect(session.run("None").output == "")
    #expect(session.run("y = 3").output == "")
    #expect(session.run("").output == "")
  }

  @Test func errorsShowTheFailingLineAndKeepTheState() throws {
    let session = try SharedInterpreter.open()
    let result = session.run("a = 1\ndef f(v):\n    return 1 / v\nf(0)")
    #expect(result.status == .error)
    #expect(result.detail == "exception")
    #expect(
      result.output
        == "Traceback (most recent call last):\n  line 3: return 1 / v\nZeroDivisionError: division by zero\n")
    #expect(session.run("a").output == "1\n")
    let syntax = session.run("b = = 2")
    #expect(syntax.status == .error)
    #expect(syntax.output == "  line 1: b = = 2\n              ^\nSyntaxError: invalid syntax\n")
    #expect(session.run("raise ValueError(object())").output.contains("object at 0x...>"))
    #expect(session.run("\0").status == .error)
    #expect(session.run("x = 1\n  y = 2").output.contains("IndentationError"))
  }

  @Test(arguments: [
    "while True: pass",
    "while True:\n    try:\n        while True: pass\n    except Exception: pass",
    "while True:\n    try:\n        while True: pass\n    except: pass",
    "import time\ntime.sleep(1e9)",
    "import signal\nfor s in (signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU, signal.SIGINT): "
      + "signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
    "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "import re\nre.match('(a+)+$', 'a' * 40 + 'b')",
    "import os\nos.close(1); os.close(2)\nimport time\ntime.sleep(1000)",
    "n = 9 ** 9 ** 9",
  ]) func endlessCodeIsStoppedAndRolledBack(_ code: String) throws {
    let session = try SharedInterpreter.quick.get().open(key: 7)
    #expect(session.run("x = 5").status == .ok)
    let result = session.run("x = 6\n" + code)
    #expect(result.status == .timeout)
    #expect(result.output == "[time limit: stopped after 1.0 s]\n")
    #expect(session.run("print(x)").output == "5\n")
  }

  @Test(arguments: [
    "a = [0] * (1 << 33)", "a = bytearray(1 << 40)", "a = 'a' * 10 ** 10",
    "a = []\nwhile True: a.append(bytes(1 << 24))",
  ]) func memoryBombsEndAlone(_ code: String) throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("x = 5").status == .ok)
    let result = session.run("x = 6\n" + code)
    #expect(result.status == .memory)
    #expect(result.output == "[memory limit: 1024 MiB]\n")
    #expect(session.run("print(x)").output == "5\n")
  }

  @Test func floodIsCutInTheMiddleAndKilledAtTheCap() throws {
    let session = try SharedInterpreter.open()
    let flood = session.run("x = 1\nwhile True: print('y' * 100)")
    #expect(flood.status == .output)
    #expect(flood.output.contains("[output truncated: kept 16384 of >65536 bytes]"))
    #expect(flood.output.utf8.count < 17_000)
    #expect(session.run("x").output.contains("NameError"))
    // 20,003 bytes with the line end: the whole of the first and last 8 KiB stay.
    let long = session.run("print('a' * 10_000 + 'é' + 'b' * 10_000)")
    #expect(long.status == .ok)
    #expect(
      long.output.hasPrefix(String(repeating: "a", count: 8192) + "\n[output truncated: kept 16384 of 20003 bytes]"))
    #expect(long.output.hasSuffix("bytes]\n" + String(repeating: "b", count: 8191) + "\n"))
    // A cut inside a character drops its remains.
    let wide = session.run("print('x' + 'é' * 10_000)").output
    #expect(!wide.contains("\u{FFFD}"))
  }

  @Test func leavingEarly() throws {
    let session = try SharedInterpreter.open()
    let soft = session.run("x = 1\nimport sys\nsys.exit(3)")
    #expect(soft.status == .exited)
    #expect(soft.output == "[exit status 3]\n")
    #expect(session.run("x").output == "1\n")
    let hard = session.run("x = 2\nimport os\nos._exit(0)")
    #expect(hard.status == .exited)
    #expect(hard.detail == "exit status 0")
    #expect(session.run("x").output == "1\n")
    #expect(session.run("quit()").status == .exited)
    #expect(session.run("raise SystemExit('bye')").output == "bye\n[exit status 1]\n")
  }

  @Test func crashesAreNamed() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("x = 1").status == .ok)
    let result = session.run("import ctypes\nctypes.string_at(0)")
    #expect(result.status == .crashed)
    #expect(result.output == "[crashed: SIGSEGV]\n")
    #expect(session.run("import os\nos.abort()").output == "[crashed: SIGABRT]\n")
    #expect(session.run("import os\nos.kill(os.getpid(), 9)").output == "[crashed: SIGKILL]\n")
    #expect(session.run("x").output == "1\n")
  }

  @Test func oddBytesBecomeText() throws {
    let session = try SharedInterpreter.open()
    let code = #"import os; _ = os.write(1, b"a\0b\xff\xfec\x1b[31md\r\ne\xc3\xa9\n")"#
    #expect(session.run(code).output == "a\\x00b\u{FFFD}\u{FFFD}c\\x1b[31md\neé\n")
    #expect(session.run(#"print("\ud800")"#).output == "\\ud800\n")
  }

  @Test func standardInputIsEmpty() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("import sys\nprint(repr(sys.stdin.read()))").output == "''\n")
    #expect(session.run("input()").output.hasSuffix("EOFError: EOF when reading a line\n"))
  }

  @Test func sameKeySameNumbers() throws {
    let code = "import random\nprint(random.random(), hash('a'), {'x', 'y', 'z'}, hash(None), id(object()))"
    let first = try SharedInterpreter.open(key: 11)
    let second = try SharedInterpreter.open(key: 11)
    let third = try SharedInterpreter.open(key: 12)
    let expected = first.run(code)
    #expect(expected.status == .ok)
    #expect(second.run(code).output == expected.output)
    #expect(third.run("import random\nprint(random.random())").output.prefix(12) != expected.output.prefix(12))
    // A block that is rolled back leaves the generator where it was.
    let fourth = try SharedInterpreter.open(key: 11)
    #expect(fourth.run("import random, os\nrandom.random()\nos._exit(1)").status == .exited)
    #expect(fourth.run(code).output.prefix(12) == expected.output.prefix(12))
  }

  @Test func threadsEndWithTheirBlock() throws {
    let session = try SharedInterpreter.open()
    let result = session.run(
      """
      import threading, time
      def talk():
          while True:
              time.sleep(0.01)
              print('late', flush=True)
      threading.Thread(target=talk, daemon=True).start()
      x = 3
      """)
    #expect(result.status == .ok)
    #expect(session.run("import time\ntime.sleep(0.1)\nprint(x)").output == "3\n")
  }

  @Test func sessionsShareNothing() throws {
    let first = try SharedInterpreter.open()
    let second = try SharedInterpreter.open()
    #expect(first.run("import builtins, math\nbuiltins.len = lambda x: -1\nmath.pi = 3\nz = 1").status == .ok)
    #expect(
      second.run("import math\nprint(len([1]), round(math.pi, 4), 'z' in globals())").output == "1 3.1416 False\n")
  }

  @Test func mainGuardsAndFunctionsWork() throws {
    let session = try SharedInterpreter.open()
    #expect(session.run("if __name__ == '__main__':\n    print('main')").output == "main\n")
    #expect(
      session.run("import inspect\ndef f(): return 1\nprint(inspect.getsource(f))").output == "def f(): return 1\n\n")
  }

  @Test func longCodeIsRefused() throws {
    let session = try SharedInterpreter.open()
    let result = session.run("x = 1 #" + String(repeating: "y", count: 5_000_000))
    #expect(result.status == .refused)
    #expect(session.run("print('alive')").output == "alive\n")
  }
}
