/// Rows of fp32 numbers to be read, in memory that somebody else owns: number j of row i is `pointer[i * stride + j]`.
///
/// Kernels take their operands in this form, so that a shape travels with its pointer and is checked where it is used.
/// The memory must outlive the value.
public struct Rows: @unchecked Sendable, CustomStringConvertible {
  /// The first number of the first row.
  public let pointer: UnsafePointer<Float>
  /// The number of rows.
  public let count: Int
  /// Numbers in a row.
  public let width: Int
  /// Numbers from the start of one row to the start of the next; at least `width`.
  public let stride: Int

  /// - Parameter stride: `width` where it is missing: rows without gaps.
  @inlinable
  public init(_ pointer: UnsafePointer<Float>, count: Int, width: Int, stride: Int? = nil) {
    let stride = stride ?? width
    checkShapes(
      count >= 0 && width >= 0 && stride >= width, "Rows: \(count) x \(width) with a stride of \(stride) is no shape")
    self.pointer = pointer
    self.count = count
    self.width = width
    self.stride = stride
  }

  /// The same rows, to be read only.
  @inlinable
  public init(_ rows: MutableRows) {
    self.init(rows.pointer, count: rows.count, width: rows.width, stride: rows.stride)
  }

  /// The first number of row `index`, which is not checked.
  @inlinable
  public subscript(index: Int) -> UnsafePointer<Float> { pointer + index &* stride }

  /// The rows from `row` on.
  @inlinable
  package func from(_ row: Int) -> Rows { Rows(self[row], count: count - row, width: width, stride: stride) }

  /// Columns `columns` of all rows.
  @inlinable
  package func columns(_ columns: Range<Int>) -> Rows {
    Rows(pointer + columns.lowerBound, count: count, width: columns.count, stride: stride)
  }

  /// The shape as messages show it, such as `12 x 64`.
  public var description: String { "\(count) x \(width)" }

  /// Whether both have as many rows, of as many numbers.
  @inlinable
  package func hasShape(of other: Rows) -> Bool { count == other.count && width == other.width }
}

/// Rows of fp32 numbers to be written, in memory that somebody else owns; as ``Rows``.
///
/// Several workers may hold the same rows, as long as each writes its own part.
public struct MutableRows: @unchecked Sendable, CustomStringConvertible {
  /// The first number of the first row.
  public let pointer: UnsafeMutablePointer<Float>
  /// The number of rows.
  public let count: Int
  /// Numbers in a row.
  public let width: Int
  /// Numbers from the start of one row to the start of the next; at least `width`.
  public let stride: Int

  /// - Parameter stride: `width` where it is missing: rows without gaps.
  @inlinable
  public init(_ pointer: UnsafeMutablePointer<Float>, count: Int, width: Int, stride: Int? = nil) {
    let stride = stride ?? width
    checkShapes(
      count >= 0 && width >= 0 && stride >= width, "Rows: \(count) x \(width) with a stride of \(stride) is no shape")
    self.pointer = pointer
    self.count = count
    self.width = width
    self.stride = stride
  }

  /// The first number of row `index`, which is not checked.
  @inlinable
  public subscript(index: Int) -> UnsafeMutablePointer<Float> { pointer + index &* stride }

  /// The rows from `row` on.
  @inlinable
  package func from(_ row: Int) -> MutableRows {
    MutableRows(self[row], count: count - row, width: width, stride: stride)
  }

  /// Columns `columns` of all rows.
  @inlinable
  package func columns(_ columns: Range<Int>) -> MutableRows {
    MutableRows(pointer + columns.lowerBound, count: count, width: columns.count, stride: stride)
  }

  /// The shape as messages show it, such as `12 x 64`.
  public var description: String { "\(count) x \(width)" }

  /// Whether both have as many rows, of as many numbers.
  @inlinable
  package func hasShape(of other: Rows) -> Bool { count == other.count && width == other.width }
}

/// Stops the program when shapes do not fit. Unlike a `precondition`'s, the message is printed in release builds too.
@inlinable @inline(__always)
package func checkShapes(_ fit: Bool, _ message: @autoclosure () -> String) {
  if !fit { fatalError(message()) }
}
