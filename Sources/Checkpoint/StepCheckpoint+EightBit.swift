import Foundation
import Support
import Tensor

/// Moments in 8 bits: `/first_moment_8bit/codes`, 256 bytes a row, and `/first_moment_8bit/scales`, a number a row; the
/// same for the second.
extension StepCheckpoint {
  private enum Dataset: String, CaseIterable { case codes, scales }

  /// What is written of a moment, in pieces of at most `limit` bytes; it must outlive them.
  static func pieces(
    of moment: QuantizedMoment, _ kind: StepManifest.Kind, _ limit: Int
  ) -> [(StepManifest.Part, HDF5Entry.Content)] {
    let (rowCount, size) = (moment.scales.count, QuantizedMoment.blockCount)
    return Dataset.allCases.flatMap { dataset in
      let step = max(1, limit / (dataset == .codes ? size : MemoryLayout<Float>.stride))
      return stride(from: 0, to: rowCount, by: step).map { first in
        let rows = first..<min(first + step, rowCount)
        let content: HDF5Entry.Content =
          switch dataset {
          case .codes:
            .bytes(
              Data(
                bytesNoCopy: moment.bytes.baseAddress! + rows.lowerBound * size, count: rows.count * size,
                deallocator: .none))
          case .scales: .floats(moment.scales.pointer + rows.lowerBound, shape: [rows.count], type: .float32)
          }
        return (
          StepManifest.Part(kind: kind, name: dataset.rawValue, rows: [rows.lowerBound, rows.upperBound]), content
        )
      }
    }
  }

  /// Reads what ``pieces(of:_:_:)`` wrote.
  func read(_ kind: StepManifest.Kind, into moment: QuantizedMoment) throws {
    let (rowCount, size) = (moment.scales.count, QuantizedMoment.blockCount)
    func fail(_ name: String, _ message: String) -> MartletError {
      MartletError(
        .data, "\(join(folder, StepManifest.name)): \(kind.rawValue): \(name): \(message); use another step folder")
    }
    var next: [Dataset: Int] = [.codes: 0, .scales: 0]
    for file in manifest.files {
      let parts = file.parts.filter { $0.kind == kind }
      guard !parts.isEmpty else { continue }
      let reader = try HDF5Reader(join(folder, file.name))
      for part in parts {
        guard let dataset = Dataset(rawValue: part.name) else { throw fail(part.name, "is not known") }
        guard part.rows.count == 2, part.rows[0] == next[dataset], part.rows[1] > part.rows[0],
          part.rows[1] <= rowCount
        else { throw fail(part.name, "rows \(part.rows) of \(rowCount) do not follow \(next[dataset] ?? 0)") }
        next[dataset] = part.rows[1]
        let (first, count) = (part.rows[0], part.rows[1] - part.rows[0])
        let path = part.path(rowCount: rowCount)
        switch dataset {
        case .codes:
          try reader.bytes(
            path,
            into: UnsafeMutableRawBufferPointer(start: moment.bytes.baseAddress! + first * size, count: count * size))
        case .scales:
          try reader.tensor(path, name: part.name, shape: [count]).read(0..<count, into: moment.scales.pointer + first)
        }
      }
    }
    for dataset in Dataset.allCases where next[dataset] != rowCount {
      throw fail(dataset.rawValue, "is not there as a whole")
    }
  }
}
