import Foundation
import Support
import Testing
import Transformer

@testable import Checkpoint

struct JournalTests {
  private let scratch: Scratch
  private let path: String
  private let records = [Data("first".utf8), Data(), Data((0..<700).map { UInt8(truncatingIfNeeded: $0) }), Data([0])]

  init() throws {
    scratch = try Scratch()
    path = scratch("seg.log")
    let journal = try Journal(path: path)
    #expect(journal.records.isEmpty)
    for record in records { try journal.append(record) }
    try journal.sync()
    journal.close()
  }

  @Test func recordsComeBackAndMoreFollow() throws {
    let journal = try Journal(path: path)
    #expect(journal.records == records && journal.cutBytes == 0)
    try journal.append(Data("more".utf8))
    journal.close()
    #expect(try Journal(path: path).records == records + [Data("more".utf8)])
    Samples.failure(.io) { try journal.append(Data()) }
  }

  @Test func everyTornEndIsCut() throws {
    let whole = try Data(contentsOf: URL(filePath: path))
    var ends = [0]
    for record in records { ends.append(ends.last! + 8 + record.count) }
    #expect(ends.last == whole.count)
    for length in 0...whole.count {
      try whole.prefix(length).write(to: URL(filePath: path))
      let good = ends.lastIndex { $0 <= length }!
      let journal = try Journal(path: path)
      #expect(journal.records == Array(records.prefix(good)) && journal.cutBytes == length - ends[good])
      try journal.append(Data("next".utf8))
      journal.close()
      let again = try Journal(path: path)
      #expect(again.records == Array(records.prefix(good)) + [Data("next".utf8)] && again.cutBytes == 0)
    }
  }

  @Test func aFlippedBitEndsTheJournalThere() throws {
    let whole = try Data(contentsOf: URL(filePath: path))
    for (place, good) in [(0, 0), (5, 0), (9, 0), (13, 1), (300, 2), (whole.count - 1, 3)] {
      var flipped = whole
      flipped[place] ^= 0x10
      try flipped.write(to: URL(filePath: path))
      #expect(try Journal(path: path).records == Array(records.prefix(good)), "\(place)")
    }
    // A file that a crash has lengthened with zeros.
    try (whole + Data(count: 64)).write(to: URL(filePath: path))
    #expect(try Journal(path: path).records == records)
    // One that it left with nothing else: the checksum of no bytes is zero, that of their length is not.
    try Data(count: 64).write(to: URL(filePath: path))
    let empty = try Journal(path: path)
    #expect(empty.records.isEmpty && empty.cutBytes == 64)
  }

  /// Each record alone is whole; their order is not.
  @Test func aMissingOrRepeatedRecordEndsTheJournal() throws {
    let whole = try Data(contentsOf: URL(filePath: path))
    let first = 8 + records[0].count
    try whole.dropFirst(first).write(to: URL(filePath: path))
    #expect(try Journal(path: path).records.isEmpty)
    try (whole.prefix(first) + whole).write(to: URL(filePath: path))
    #expect(try Journal(path: path).records == [records[0]])
  }

  /// The check values of RFC 3720, appendix B.4.
  @Test func checksumIsCRC32C() {
    #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8a91_36aa)
    #expect(crc32c([UInt8](repeating: 0xff, count: 32)) == 0x62a8_ab43)
    #expect(crc32c(Array(0..<32) as [UInt8]) == 0x46dd_794e)
    #expect(crc32c("123456789".utf8) == 0xe306_9283)
    #expect(crc32c("56789".utf8, after: crc32c("1234".utf8)) == crc32c("123456789".utf8))
  }
}

struct RunLockTests {
  /// A lock that was given back. A process that another test is just starting may hold a copy of it until its program
  /// begins: the lock is free soon, not at once.
  private func freedLock(run: String) throws -> RunLock {
    for _ in 0..<200 {
      do { return try RunLock(run: run) } catch let error as MartletError where error.status == .tryAgain {
        usleep(20_000)
      }
    }
    return try RunLock(run: run)
  }

  @Test func aSecondHolderIsToldWhoTheFirstIs() throws {
    let scratch = try Scratch()
    let run = scratch("a/run")
    let lock = try RunLock(run: run)
    Samples.failure(.tryAgain, mentions: run, "process \(getpid())") { _ = try RunLock(run: run) }
    lock.release()
    let again = try freedLock(run: run)
    again.release()
  }

  @Test func aLockOfAnotherProcessHolds() throws {
    let scratch = try Scratch()
    let holder = Process()
    let (input, output) = (Pipe(), Pipe())
    holder.executableURL = URL(filePath: "/usr/bin/flock")
    holder.arguments = ["-x", scratch("LOCK"), "sh", "-c", "echo held; read line"]
    holder.standardInput = input
    holder.standardOutput = output
    try holder.run()
    #expect(output.fileHandleForReading.readData(ofLength: 5) == Data("held\n".utf8))
    Samples.failure(.tryAgain, mentions: scratch.path) { _ = try RunLock(run: scratch.path) }
    try input.fileHandleForWriting.write(contentsOf: Data("\n".utf8))
    holder.waitUntilExit()
    _ = try freedLock(run: scratch.path)
  }

  /// A child that outlives the trainer must not keep its lock.
  @Test func childrenDoNotInheritTheLock() throws {
    let scratch = try Scratch()
    let lock = try RunLock(run: scratch.path)
    // Foundation's Process closes what a child should not have; a plain spawn does not.
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    let words: [String] = ["sh", "-c", "read line"]
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
    arguments.append(nil)
    var child: pid_t = 0
    let spawned = posix_spawn(&child, "/bin/sh", &actions, nil, &arguments, nil)
    defer {
      write(ends[1], "\n", 1)
      if spawned == 0 { waitpid(child, nil, 0) }
      for end in ends { close(end) }
      for argument in arguments { free(argument) }
      posix_spawn_file_actions_destroy(&actions)
    }
    try #require(spawned == 0)
    lock.release()
    _ = try freedLock(run: scratch.path)
  }
}

struct AtomicWriteTests {
  @Test func theOldFileStaysUntilTheNewOneIsWhole() throws {
    let scratch = try Scratch()
    try writeFileAtomically(Data("old".utf8), to: scratch("file"))
    let file = try OutputFile(replacing: scratch("file"), bytesNeeded: 3)
    try Data("new".utf8).withUnsafeBytes { try file.write($0, at: 0) }
    #expect(try Data(contentsOf: URL(filePath: scratch("file"))) == Data("old".utf8))
    try file.commit()
    #expect(try Data(contentsOf: URL(filePath: scratch("file"))) == Data("new".utf8))
    #expect(try FileManager.default.names(scratch.path) == ["file"])
  }

  @Test func aFailedRenameLeavesNothingBehind() throws {
    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch("folder/inside"), withIntermediateDirectories: true)
    Samples.failure(.io, mentions: "folder") { try writeFileAtomically(Data("x".utf8), to: scratch("folder")) }
    Samples.failure(.io, mentions: "none/file") { try writeFileAtomically(Data("x".utf8), to: scratch("none/file")) }
    #expect(try FileManager.default.names(scratch.path) == ["folder"])
  }
}

/// A real full disk: a small tmpfs, where this process may mount one.
struct FullDiskTests {
  final class SmallDisk {
    let scratch: Scratch
    init?(bytes: Int) throws {
      scratch = try Scratch()
      guard mount("tmpfs", scratch.path, "tmpfs", 0, "size=\(bytes)") == 0 else { return nil }
    }
    // 2: MNT_DETACH, for a test may still hold a file of it.
    deinit { umount2(scratch.path, 2) }
  }

  static let canMount: Bool = ((try? SmallDisk(bytes: 65_536)) ?? nil) != nil

  @Test(.enabled(if: canMount)) func nothingIsLostNorLeftBehind() throws {
    let disk = try #require(try SmallDisk(bytes: 200_000))
    let path = disk.scratch("file")
    try writeFileAtomically(Data("old".utf8), to: path)
    Samples.failure(.io, mentions: "300000 bytes are needed", "bytes are free") {
      try writeFileAtomically(Data(count: 300_000), to: path)
    }
    // Past the check beforehand: the disk fills while we write.
    Samples.failure(.io, mentions: "bytes are free") {
      let file = try OutputFile(replacing: path, bytesNeeded: 0)
      try Data(count: 300_000).withUnsafeBytes { try file.write($0, at: 0) }
      try file.commit()
    }
    var configuration = Samples.configuration(.qwen2)
    configuration.vocabularySize = 5000
    let model = LanguageModel(configuration: configuration)
    try ModelFile.write(
      Samples.model(Samples.configuration(.qwen2)), files: ModelFiles(), to: disk.scratch("model.h5"))
    Samples.failure(.io, mentions: "model.h5", "bytes are free") {
      try ModelFile.write(model, files: ModelFiles(), to: disk.scratch("model.h5"), type: .float32)
    }
    Samples.failure(.io, mentions: "step-00000001", "bytes are free") {
      _ = try StepCheckpoint.write(
        run: disk.scratch("run"), step: 1, model: model, files: ModelFiles(), optimizer: nil, state: Data(),
        keeping: .init(last: 1))
    }
    Samples.failure(.io, mentions: "bytes are free") {
      try HuggingFaceFolder.write(model, files: ModelFiles(), to: disk.scratch("folder"))
    }
    #expect(try FileManager.default.names(disk.scratch.path) == ["file", "model.h5", "run"])
    #expect(try FileManager.default.names(disk.scratch("run")).isEmpty)
    #expect(try ModelFile.read(disk.scratch("model.h5")).model.configuration == Samples.configuration(.qwen2))
    #expect(try Data(contentsOf: URL(filePath: path)) == Data("old".utf8))
  }

  @Test(.enabled(if: canMount)) func theJournalKeepsWholeRecords() throws {
    let disk = try #require(try SmallDisk(bytes: 65_536))
    let journal = try Journal(path: disk.scratch("seg.log"))
    try journal.append(Data("kept".utf8))
    Samples.failure(.io, mentions: "seg.log", "bytes are free") { try journal.append(Data(count: 100_000)) }
    try journal.append(Data("also".utf8))
    try journal.sync()
    #expect(try Journal(path: disk.scratch("seg.log")).records == [Data("kept".utf8), Data("also".utf8)])
  }
}
