import Foundation
import Support
import Testing

@testable import Rollout

/// The zygote's memory as a file: `snapshot.c`, called as the zygote calls it.
@Suite struct SnapshotTests {
  @Test func theInterpretersMemoryIsShared() throws {
    #expect(try SharedInterpreter.patient.get().report.unshared == "")
    #expect(try SharedInterpreter.host(.T2).report.unshared == "")
    #expect(try SharedInterpreter.host(.T1).report.unshared == "")
  }

  @Test("objects, lists that grow, new memory, forks and the garbage collector go on as before")
  func pythonGoesOn() throws {
    #expect(
      try run(
        """
        import gc, os
        table = {n: [str(n)] * 3 for n in range(20000)}
        long = list(range(50000))
        zeros = bytearray(1 << 20)
        assert snapshot() == 0
        assert len(table) == 20000 and all(table[n] == [str(n)] * 3 for n in table)
        long.extend(range(50000, 400000))
        assert long == list(range(400000))
        zeros.extend(bytes(3 << 20))
        assert not any(zeros)
        for n in range(0, 20000, 2): del table[n]
        gc.collect()
        more = [bytes(1000) for _ in range(20000)]
        assert not any(map(any, more))
        assert sorted(table) == list(range(1, 20000, 2))
        print("well")
        """) == "well\n")
  }

  @Test("what one process writes, no other sees")
  func privateToEachProcess() throws {
    #expect(
      try run(
        """
        import os
        page = bytearray(b"a" * 65536)
        assert snapshot() == 0
        inner, outer = os.pipe()
        back, forth = os.pipe()
        child = os.fork()
        if child == 0:
            page[:] = b"c" * 65536
            os.write(outer, b"written")
            os.read(back, 1)
            os._exit(0 if page == b"c" * 65536 else 1)
        os.read(inner, 7)
        assert page == b"a" * 65536
        page[:] = b"p" * 65536
        second = os.fork()
        if second == 0:
            os._exit(0 if page == b"p" * 65536 else 1)
        assert os.waitpid(second, 0)[1] == 0
        os.write(forth, b"1")
        assert os.waitpid(child, 0)[1] == 0
        print("private")
        """) == "private\n")
  }

  @Test("the memory lies in one sealed file, none of it left outside")
  func everythingMoves() throws {
    #expect(
      try run(
        """
        import os
        def regions(wanted):
            found = {}
            for line in open("/proc/self/maps"):
                words = line.split(None, 5)
                if words[1] == "rw-p" and "[stack" not in line and wanted in line:
                    start, end = (int(bound, 16) for bound in words[0].split("-"))
                    found.update((page, line) for page in range(start, end, 4096))
            return found
        before = regions("")
        assert snapshot() == 0
        after, moved = regions(""), regions("memfd:snapshot")
        outside = [after[page] for page in before if page in after and page not in moved]
        assert before and not outside, outside[0]
        assert not any("memfd" in os.readlink("/proc/self/fd/" + name) for name in ("3", "4", "5") if
                       os.path.lexists("/proc/self/fd/" + name))
        print("moved")
        """) == "moved\n")
  }

  @Test("a library that is missing or broken is said, and nothing else changes")
  func withoutTheLibrary() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let broken = folder.appendingPathComponent("broken.so")
    try Data("no library".utf8).write(to: broken)
    let source = URL(fileURLWithPath: try PythonRuntime.source("zygote.py")).deletingLastPathComponent().path
    let text = try python(
      """
      import sys
      sys.path.insert(0, "\(source)")
      from interpreter.warm_up import load_snapshot, share_memory
      print(share_memory(load_snapshot("")))
      print(share_memory(load_snapshot("\(broken.path)")))
      """)
    let lines = text.split(separator: "\n")
    #expect(lines.count == 2 && lines.first == "libMartletSnapshot.so: not found")
    #expect(lines.last?.contains("broken.so") == true)
  }

  private func run(_ script: String) throws -> String {
    let library = try #require(PythonRuntime.snapshotLibrary)
    return try python("import ctypes\nsnapshot = ctypes.CDLL(\"\(library)\").martlet_snapshot\n\(script)\n")
  }

  private func python(_ script: String) throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: try PythonRuntime.python(nil))
    process.arguments = ["-B", "-c", script]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let text = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return text
  }
}
