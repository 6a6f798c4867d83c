import TensorBase

// The oracles of the matrix products: plain loops, one chain an output, in the contract's order.

/// `linear` as its definition reads; `weight` is [outputs, inputs], unpacked.
package func linearNaive(_ y: MutableRows, _ x: Rows, weight: Rows, bias: UnsafePointer<Float>?) {
  for m in 0..<y.count {
    for n in 0..<y.width {
      var chain: Float = 0
      for k in 0..<x.width { chain = chain.addingProduct(x[m][k], weight[n][k]) }
      if let bias { chain += bias[n] }
      y[m][n] = chain
    }
  }
}

/// `linearBackwardInput` in mode `exact` as its definition reads.
package func linearBackwardInputNaive(_ dX: MutableRows, dY: Rows, weight: Rows, accumulate: Bool) {
  for m in 0..<dX.count {
    for k in 0..<dX.width {
      var chain = accumulate ? dX[m][k] : 0
      for n in 0..<dY.width { chain = chain.addingProduct(dY[m][n], weight[n][k]) }
      dX[m][k] = chain
    }
  }
}

/// `linearBackwardWeight` in mode `exact` as its definition reads.
package func linearBackwardWeightNaive(_ dW: MutableRows, dY: Rows, x: Rows) {
  for n in 0..<dW.count {
    for k in 0..<dW.width {
      var chain = dW[n][k]
      for m in 0..<dY.count { chain = chain.addingProduct(dY[m][n], x[m][k]) }
      dW[n][k] = chain
    }
  }
}
