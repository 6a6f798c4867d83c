import Tensor
import Testing

/// Operands that do not fit stop the program, with all shapes named: in release builds too.
@Suite struct ShapeMessageTests {
  private func message(_ result: ExitTest.Result?) -> String {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
  }

  @Test func attentionNamesQueriesAndKeys() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let memory = FloatBuffer(count: 4096)
      let shape = AttentionShape(headCount: 4, keyValueHeadCount: 2, headWidth: 16)
      let keys = Rows(memory.pointer, count: 10, width: 32)
      _ = AttentionInputs(
        query: Rows(memory.pointer, count: 12, width: 64), key: keys, value: keys, shape: shape)
    }
    #expect(message(result).contains("attention: queries are 12 x 64, keys 10 x 32 and values 10 x 32"))
  }

  @Test func matrixProductsNameTheirOperands() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let memory = FloatBuffer(count: 4096)
      linearBackwardInput(
        MutableRows(memory.pointer, count: 3, width: 8), dY: Rows(memory.pointer, count: 3, width: 5),
        weight: Rows(memory.pointer, count: 6, width: 8), accumulate: false, mode: .exact,
        pool: WorkerPool(threadCount: 1))
    }
    #expect(message(result).contains("linearBackwardInput: dX is 3 x 8, dY 3 x 5 and the weight 6 x 8"))
  }

  @Test func rowsKnowNoOverlap() async {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Rows(FloatBuffer(count: 64).pointer, count: 4, width: 16, stride: 15)
    }
    #expect(message(result).contains("4 x 16 with a stride of 15"))
  }
}
