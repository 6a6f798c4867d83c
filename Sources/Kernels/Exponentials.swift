import TensorBase

extension Table {
  package static func exponentials(
    _ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int, maximum: Float
  ) {
    let shift = Lanes(repeating: maximum)
    var index = 0
    while index &+ 16 <= count {
      vectorExpOfNonPositive(Lanes(x + index) - shift).store(y + index)
      index &+= 16
    }
    if index < count {
      let rest = count &- index
      vectorExpOfNonPositive(Lanes(x + index, count: rest, padding: -.infinity) - shift).store(y + index, count: rest)
    }
  }
}
