import TensorBase

// The oracles of the matrix products: plain loops, one chain an output, in the contract's order.

/// `linear` as its definition reads; `weight` is [outputs, inputs], unpacked.
package func linearNaive(
  _ y: UnsafeMutablePointer<Float>, yStride: Int, x: UnsafePointer<Float>, xStride: Int, rows: Int,
  weight: UnsafePointer<Float>, outputs: Int, inputs: Int, bias: UnsafePointer<Float>?
) {
  for m in 0..<rows {
    for n in 0..<outputs {
      var chain: Float = 0
      for k in 0..<inputs { chain = chain.addingProduct(x[m * xStride + k], weight[n * inputs + k]) }
      if let bias { chain += bias[n] }
      y[m * yStride + n] = chain
    }
  }
}

/// `linearBackwardInput` in mode `exact` as its definition reads.
package func linearBackwardInputNaive(
  _ dX: UnsafeMutablePointer<Float>, dXStride: Int, dY: UnsafePointer<Float>, dYStride: Int, rows: Int,
  weight: UnsafePointer<Float>, outputs: Int, inputs: Int, accumulate: Bool
) {
  for m in 0..<rows {
    for k in 0..<inputs {
      var chain = accumulate ? dX[m * dXStride + k] : 0
      for n in 0..<outputs { chain = chain.addingProduct(dY[m * dYStride + n], weight[n * inputs + k]) }
      dX[m * dXStride + k] = chain
    }
  }
}

/// `linearBackwardWeight` in mode `exact` as its definition reads.
package func linearBackwardWeightNaive(
  _ dW: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>, dYStride: Int, x: UnsafePointer<Float>, xStride: Int,
  rows: Int, outputs: Int, inputs: Int
) {
  for n in 0..<outputs {
    for k in 0..<inputs {
      var chain = dW[n * inputs + k]
      for m in 0..<rows { chain = chain.addingProduct(dY[m * dYStride + n], x[m * xStride + k]) }
      dW[n * inputs + k] = chain
    }
  }
}
