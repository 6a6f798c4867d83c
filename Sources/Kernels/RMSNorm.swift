import TensorBase

extension Table {
  package static func rmsNorm(
    _ y: MutableRows, _ x: Rows, weight: UnsafePointer<Float>, groups: Int, epsilon: Float,
    rstd: UnsafeMutablePointer<Float>?, pool: WorkerPool
  ) {
    checkShapes(
      y.hasShape(of: x) && groups >= 1 && x.width % groups == 0, "rmsNorm: y is \(y), x \(x) in \(groups) groups")
    let width = x.width / groups
    forEachRow(x.count, elements: x.width, pool: pool) { row in
      var group = 0
      while group < groups {
        let offset = group &* width
        let found = RMSNormKernel.forward(
          y[row] + offset, x: x[row] + offset, weight: weight, width: width, epsilon: epsilon)
        if let rstd { rstd[row &* groups &+ group] = found }
        group &+= 1
      }
    }
  }

  package static func rmsNormBackward(
    dX: MutableRows, dWeight: UnsafeMutablePointer<Float>?, dY: Rows, x: Rows, weight: UnsafePointer<Float>,
    rstd: UnsafePointer<Float>, groups: Int, pool: WorkerPool
  ) {
    checkShapes(
      dX.hasShape(of: x) && dY.hasShape(of: x) && groups >= 1 && x.width % groups == 0,
      "rmsNormBackward: dX is \(dX), dY \(dY) and x \(x) in \(groups) groups")
    let width = x.width / groups
    if let dWeight {
      // Threads take columns: a chain over rows must not be cut.
      let columns = max(16, (width / (4 * pool.threadCount) + 15) & ~15)
      pool.run((width + columns - 1) / columns) { task in
        let range = task &* columns..<min(width, (task &+ 1) &* columns)
        var row = 0
        while row < x.count {
          var group = 0
          while group < groups {
            RMSNormKernel.backwardWeight(
              dWeight, dY: dY[row] + group &* width, x: x[row] + group &* width, rstd: rstd[row &* groups &+ group],
              columns: range)
            group &+= 1
          }
          row &+= 1
        }
      }
    }
    forEachRow(x.count, elements: x.width, pool: pool) { row in
      var group = 0
      while group < groups {
        let offset = group &* width
        RMSNormKernel.backwardInput(
          dX[row] + offset, dY: dY[row] + offset, x: x[row] + offset, weight: weight,
          rstd: rstd[row &* groups &+ group], width: width)
        group &+= 1
      }
    }
  }
}

enum RMSNormKernel {
  /// 1 / sqrt(mean of squares + epsilon) of one run; 16 lanes of chains, then the tree.
  @inline(__always)
  static func rstd(_ x: UnsafePointer<Float>, width: Int, epsilon: Float) -> Float {
    1 / (laneProduct(x, x, width: width) / Float(width) + epsilon).squareRoot()
  }

  /// Sum of a[i] * b[i], 16 lanes of chains, then the tree.
  @inline(__always)
  static func laneProduct(_ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, width: Int) -> Float {
    var sums = Lanes(repeating: 0)
    var index = 0
    while index &+ 16 <= width {
      sums = sums.addingProduct(Lanes(a + index), Lanes(b + index))
      index &+= 16
    }
    if index < width {
      let rest = width &- index
      sums = sums.addingProduct(
        Lanes(a + index, count: rest, padding: 0), Lanes(b + index, count: rest, padding: 0))
    }
    return sums.treeSum
  }

  @inline(__always)
  static func forward(
    _ y: UnsafeMutablePointer<Float>, x: UnsafePointer<Float>, weight: UnsafePointer<Float>, width: Int,
    epsilon: Float
  ) -> Float {
    let rstd = rstd(x, width: width, epsilon: epsilon)
    let factor = Lanes(repeating: rstd)
    var index = 0
    while index &+ 16 <= width {
      (Lanes(weight + index) * (Lanes(x + index) * factor)).store(y + index)
      index &+= 16
    }
    while index < width {
      y[index] = weight[index] * (x[index] * rstd)
      index &+= 1
    }
    return rstd
  }

  /// dX += r w dY - x r^3 / width * sum(w dY x).
  @inline(__always)
  static func backwardInput(
    _ dX: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>, x: UnsafePointer<Float>,
    weight: UnsafePointer<Float>, rstd: Float, width: Int
  ) {
    var sums = Lanes(repeating: 0)
    var index = 0
    while index &+ 16 <= width {
      sums = sums.addingProduct(Lanes(weight + index) * Lanes(dY + index), Lanes(x + index))
      index &+= 16
    }
    if index < width {
      let rest = width &- index
      let product =
        Lanes(weight + index, count: rest, padding: 0) * Lanes(dY + index, count: rest, padding: 0)
      sums = sums.addingProduct(product, Lanes(x + index, count: rest, padding: 0))
    }
    let pull = -(sums.treeSum / Float(width) * rstd * rstd)
    let factor = Lanes(repeating: rstd)
    let pullLanes = Lanes(repeating: pull)
    index = 0
    while index &+ 16 <= width {
      let direct = (Lanes(weight + index) * Lanes(dY + index)).addingProduct(Lanes(x + index), pullLanes)
      Lanes(dX + index).addingProduct(direct, factor).store(dX + index)
      index &+= 16
    }
    while index < width {
      let direct = (weight[index] * dY[index]).addingProduct(x[index], pull)
      dX[index].addProduct(direct, rstd)
      index &+= 1
    }
  }

  /// dWeight[i] += dY[i] (x[i] r) for columns `columns` of one run: one link of the chain over rows.
  @inline(__always)
  static func backwardWeight(
    _ dWeight: UnsafeMutablePointer<Float>, dY: UnsafePointer<Float>, x: UnsafePointer<Float>, rstd: Float,
    columns: Range<Int>
  ) {
    let factor = Lanes(repeating: rstd)
    var index = columns.lowerBound
    while index &+ 16 <= columns.upperBound {
      Lanes(dWeight + index).addingProduct(Lanes(dY + index), Lanes(x + index) * factor).store(dWeight + index)
      index &+= 16
    }
    while index < columns.upperBound {
      dWeight[index].addProduct(dY[index], x[index] * rstd)
      index &+= 1
    }
  }
}
