/// The queries, keys and values of packed training rows.
public struct AttentionInputs: Sendable {
  /// [rows, H, D].
  public let query: Rows
  /// [rows, K, D] each.
  public let key, value: Rows
  /// How the rows are cut into heads.
  public let shape: AttentionShape

  /// Rows whose widths are those of `shape`: H * D for queries, K * D for keys and values.
  public init(query: Rows, key: Rows, value: Rows, shape: AttentionShape) {
    checkShapes(
      query.count == key.count && query.width == shape.queryWidth && key.width == shape.keyValueWidth
        && value.hasShape(of: key),
      "attention: queries are \(query), keys \(key) and values \(value); \(shape) need the same number of rows, "
        + "\(shape.queryWidth) and \(shape.keyValueWidth) wide")
    self.query = query
    self.key = key
    self.value = value
    self.shape = shape
  }
}

/// Where the backward pass of attention writes; shapes as in ``AttentionInputs``.
public struct AttentionGradients: Sendable {
  /// Overwritten.
  public let query: MutableRows
  /// Added to.
  public let key, value: MutableRows

  /// Rows of the shapes that the inputs have.
  public init(query: MutableRows, key: MutableRows, value: MutableRows) {
    self.query = query
    self.key = key
    self.value = value
  }
}
