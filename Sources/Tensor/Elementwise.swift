import TensorBase

/// y[m, i] += x[m, i]; both of one shape.
public func addRows(_ y: MutableRows, _ x: Rows, pool: WorkerPool) { kernels.addRows(y, x, pool: pool) }

/// y[i] = exp(x[i] - maximum) for a row none of whose elements exceeds `maximum`.
package func exponentials(_ y: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, count: Int, maximum: Float) {
  kernels.exponentials(y, x, count: count, maximum: maximum)
}

/// e^x in fp32 with the bits that the kernels give: 0 below -87.3, infinity above 88.72283.
public func exactExp(_ x: Float) -> Float {
  kernels.exactExp(x)
}

/// y[i] = fma(factor, x[i], y[i]), on the calling thread.
package func addProduct(_ y: UnsafeMutablePointer<Float>, _ factor: Float, _ x: UnsafePointer<Float>, count: Int) {
  kernels.addProduct(y, factor, x, count: count)
}

/// Adds up all floats of `bytes`, a multiple of 128, as fast as they can be read: the sum says that they were.
package func readThrough(_ bytes: UnsafeRawBufferPointer) -> Float { kernels.readThrough(bytes) }
