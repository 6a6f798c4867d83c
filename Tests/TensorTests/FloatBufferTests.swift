import Support
import Tensor
import Testing

@Suite struct FloatBufferTests {
  @Test(arguments: [0, 1, 17, 262_144, 1_000_003]) func startsAlignedAndZero(count: Int) {
    let buffer = FloatBuffer(count: count)
    #expect(buffer.count == count)
    #expect(Int(bitPattern: buffer.pointer) % 64 == 0)
    #expect((0..<count).allSatisfy { buffer.pointer[$0] == 0 })
    for index in 0..<count { buffer.pointer[index] = Float(index) }
    #expect(buffer[0..<count].count == count)
    #expect(count == 0 || buffer[count - 1] == Float(count - 1))
    buffer.zero()
    #expect((0..<count).allSatisfy { buffer.pointer[$0] == 0 })
  }

  @Test func untouchedMemoryIsFree() {
    // Far more than the machine has, were it touched.
    let buffers = (0..<4).map { _ in FloatBuffer(count: 1 << 32) }
    for buffer in buffers {
      buffer[buffer.count - 1] = 1
      #expect(buffer[buffer.count - 1] == 1)
    }
  }

  @Test(arguments: [17, 1_000_003, (1 << 24) + 5]) func numbersMoveWithoutACopy(count: Int) {
    let source = FloatBuffer(count: count)
    for index in 0..<count { source.pointer[index] = Float(index) }
    let target = FloatBuffer(count: count + 3)
    source.move(into: target)
    let isThere = (0..<count).allSatisfy { target.pointer[$0] == Float($0) }
    #expect(isThere)
    #expect((count..<count + 3).allSatisfy { target[$0] == 0 })
    // Two whole slices of the largest were given back.
    if count > 1 << 24 { #expect(source[7] == 0 && source[(1 << 24) - 1] == 0) }
  }

  @Test func errorsCarryTheirStatusAndMessage() {
    let error = MartletError(.data, "a.jsonl:3: not an object; remove the line")
    #expect(error.status.rawValue == 65)
    #expect("\(error)" == "a.jsonl:3: not an object; remove the line")
  }
}
