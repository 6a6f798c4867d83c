/// Cuts a grid of rows x columns into tasks: a few a thread for balance, none too small to be worth handing over.
package struct GridPlan {
  package let rows: Int
  package let columns: Int
  package let rowsPerTask: Int
  package let columnsPerTask: Int
  package let columnTasks: Int
  package let taskCount: Int

  /// - Parameters:
  ///   - workPerCell: multiply-adds of one row and one column.
  ///   - rowChunk: rows that share a pass over the columns. Where there are enough of them for all threads, only rows
  ///     are cut, and each row is read by one task alone.
  package init(
    rows: Int, rowUnit: Int, columns: Int, columnUnit: Int, workPerCell: Int, threads: Int, rowChunk: Int? = nil
  ) {
    self.rows = rows
    self.columns = columns
    if let rowChunk, rows >= 4 * threads * rowChunk {
      rowsPerTask = (rows / (4 * threads) + rowUnit - 1) / rowUnit * rowUnit
      columnsPerTask = columns
      columnTasks = 1
      taskCount = (rows + rowsPerTask - 1) / rowsPerTask
      return
    }
    let work = rows * columns * workPerCell
    // 100,000 multiply-adds are about two microseconds, the price of handing work over.
    let wanted = threads == 1 ? 1 : max(1, min(work / 100_000, 4 * threads))
    let units = (columns + columnUnit - 1) / columnUnit
    let columnPieces = min(wanted, units)
    columnsPerTask = (units + columnPieces - 1) / columnPieces * columnUnit
    columnTasks = (columns + columnsPerTask - 1) / columnsPerTask
    // Few columns (a value head, a small projection): cut the rows too.
    let rowPieces = max(1, wanted / columnTasks)
    let rowUnits = (rows + rowUnit - 1) / rowUnit
    rowsPerTask = (rowUnits + rowPieces - 1) / rowPieces * rowUnit
    taskCount = columnTasks * ((rows + rowsPerTask - 1) / rowsPerTask)
  }

  package func part(_ task: Int) -> (rows: Range<Int>, columns: Range<Int>) {
    let row = task / columnTasks * rowsPerTask
    let column = task % columnTasks * columnsPerTask
    return (row..<min(row + rowsPerTask, rows), column..<min(column + columnsPerTask, columns))
  }
}
