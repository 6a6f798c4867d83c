/// Sum of exp(x - maximum) over a row none of whose elements exceeds `maximum`: 16 lanes (lane = index mod 16) and the
/// fixed tree.
package func sumOfExponentials(_ x: UnsafePointer<Float>, count: Int, maximum: Float) -> Float {
  let shift = Lanes(repeating: maximum)
  var sums = Lanes(repeating: 0)
  var index = 0
  while index &+ 16 <= count {
    sums = sums + vectorExpOfNonPositive(Lanes(x + index) - shift)
    index &+= 16
  }
  if index < count {
    sums = sums + vectorExpOfNonPositive(Lanes(x + index, count: count &- index, padding: -.infinity) - shift)
  }
  return sums.treeSum
}

/// y[i] = exp(x[i] - maximum) for a row none of whose elements exceeds `maximum`.
package func exponentials(
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
