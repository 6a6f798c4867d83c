import Foundation
import Glibc
import Synchronization
import Testing

/// The program on a terminal of its own, and what stands on that terminal's screen.
final class PseudoTerminal {
  private let main: Int32
  private let process = Process()
  private let reader: Reader

  /// Reads what is written until nobody has the terminal open any more.
  private final class Reader: Sendable {
    let screen: Mutex<Screen>
    let done = DispatchGroup()

    init(columns: Int) { screen = Mutex(Screen(columns: columns)) }

    func start(_ terminal: Int32) {
      done.enter()
      Thread.detachNewThread { [self] in
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
          let count = read(terminal, &buffer, buffer.count)
          guard count > 0 else { break }
          screen.withLock { $0.take(buffer[..<count]) }
        }
        done.leave()
      }
    }
  }

  /// Starts `train` with its standard error, and its output too, on a terminal of `columns` x 24.
  init(
    _ program: TrainProgram, _ arguments: [String], columns: Int, environment: [String: String] = [:]
  ) throws {
    var (main, other): (Int32, Int32) = (-1, -1)
    var size = winsize(ws_row: 24, ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    let code = openpty(&main, &other, nil, nil, &size)
    try #require(code == 0, "no terminal could be opened")
    self.main = main
    reader = Reader(columns: columns)
    process.executableURL = URL(fileURLWithPath: try TrainProgram.path())
    process.arguments = arguments
    process.currentDirectoryURL = URL(fileURLWithPath: program.folder.path)
    let own = ["TERM": "xterm-256color", "PATH": "/usr/bin:/bin"]
    process.environment = own.merging(environment) { $1 }
    let handle = FileHandle(fileDescriptor: other, closeOnDealloc: true)
    (process.standardInput, process.standardOutput, process.standardError) = (FileHandle.nullDevice, handle, handle)
    try process.run()
    try handle.close()
    reader.start(main)
  }

  deinit { close(main) }

  /// Waits until `holds` of the screen; false: the program has ended before.
  func wait(until holds: (Screen) -> Bool) -> Bool {
    while !reader.screen.withLock({ holds($0) }) {
      if !process.isRunning { return reader.screen.withLock { holds($0) } }
      usleep(10_000)
    }
    return true
  }

  /// Gives the window another width; what stands there is left as it is.
  func resize(columns: Int) {
    var size = winsize(ws_row: 24, ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
    reader.screen.withLock { screen in
      screen.columns = columns
      _ = ioctl(main, UInt(TIOCSWINSZ), &size)
    }
  }

  var draws: Int { reader.screen.withLock { $0.draws } }
  var widest: Int { reader.screen.withLock { $0.widest } }
  /// From here on the widest line is looked for anew.
  func forget() { reader.screen.withLock { $0.forget() } }

  func interrupt() { kill(process.processIdentifier, SIGINT) }

  /// Waits for the end.
  func end() -> (status: Int32, screen: Screen) {
    process.waitUntilExit()
    reader.done.wait()
    return (process.terminationStatus, reader.screen.withLock { $0 })
  }
}

/// What a terminal makes of the few sequences that the program uses.
struct Screen {
  var columns: Int
  private(set) var lines: [[Character]] = [[]]
  /// All that was written.
  private(set) var bytes: [UInt8] = []
  /// How often both bottom lines, or one, were drawn.
  private(set) var draws = 0
  /// The widest line that was written since the last `forget()`.
  private(set) var widest = 0
  private var row = 0
  private var column = 0
  private var pending: [UInt8] = []

  init(columns: Int) { self.columns = columns }

  /// The lines with something in them.
  var text: [String] { lines.map { String($0).trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty } }
  var all: String { String(decoding: bytes, as: UTF8.self) }
  /// Whether the cursor stands at a line's beginning, with nothing on it or below.
  var isClean: Bool { column == 0 && lines[row...].allSatisfy { $0.allSatisfy { $0 == " " } } }

  mutating func take(_ new: ArraySlice<UInt8>) {
    bytes += new
    pending += new
    // A sequence or a character may come in two pieces.
    let whole = pending.count - Self.unfinished(pending)
    var characters = Array(String(decoding: pending[..<whole], as: UTF8.self).unicodeScalars)[...]
    pending.removeFirst(whole)
    while let scalar = characters.popFirst() {
      switch scalar {
      case "\r": column = 0
      case "\n":
        row += 1
        if row == lines.count { lines.append([]) }
      case "\u{1B}":
        let sequence = characters.prefix { !("A"..."Z" ~= Character($0)) && $0 != "m" }
        characters.removeFirst(sequence.count)
        obey(characters.popFirst(), Int(String(String.UnicodeScalarView(sequence.dropFirst()))) ?? 1)
      default: put(Character(scalar))
      }
    }
  }

  private static func unfinished(_ bytes: [UInt8]) -> Int {
    if let escape = bytes.lastIndex(of: 0x1B),
      !bytes[(escape + 1)...].contains(where: { (65...122).contains($0) && $0 != 91 })
    {
      return bytes.count - escape
    }
    guard let lead = bytes.lastIndex(where: { $0 & 0xC0 != 0x80 }), bytes[lead] >= 0xC0 else { return 0 }
    let length = bytes[lead] >= 0xF0 ? 4 : bytes[lead] >= 0xE0 ? 3 : 2
    return bytes.count - lead < length ? bytes.count - lead : 0
  }

  private mutating func obey(_ command: Unicode.Scalar?, _ number: Int) {
    switch command {
    case "A": row = max(0, row - number)
    case "J":
      draws += 1
      lines.removeSubrange((row + 1)...)
      lines[row].removeSubrange(min(column, lines[row].count)...)
    default: break
    }
  }

  private mutating func put(_ character: Character) {
    while lines[row].count <= column { lines[row].append(" ") }
    lines[row][column] = character
    column += 1
    if character == "█" || character == "░" { widest = max(widest, column) }
  }

  mutating func forget() { widest = 0 }
}
