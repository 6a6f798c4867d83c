/// Weights [outputs, inputs] laid out for `linear`: panel p holds outputs 16 p ..< 16 p + 16 as [inputs][16]; the last
/// panel is padded with zeros. The storage is the caller's.
public struct PackedWeights: @unchecked Sendable {
  package let storage: UnsafeRawPointer
  package let format: PanelFormat
  /// Rows of the weight.
  public let outputs: Int
  /// Columns of the weight.
  public let inputs: Int

  package init(storage: UnsafeRawPointer, format: PanelFormat, outputs: Int, inputs: Int) {
    (self.storage, self.format, self.outputs, self.inputs) = (storage, format, outputs, inputs)
  }

  /// The number of floats of storage that a weight of this shape takes.
  /// - Parameter narrow: as 16-bit numbers.
  public static func floatCount(outputs: Int, inputs: Int, narrow: Bool = false) -> Int {
    let count = (outputs + 15) / 16 * 16 * inputs
    return narrow ? count / 2 : count
  }

  package var panelCount: Int { (outputs + 15) / 16 }

  /// Copies a row of the weight, as the table of embeddings is read.
  package func copyRow(_ row: Int, into target: UnsafeMutablePointer<Float>) {
    let panel = storage + row / 16 * inputs * format.stepBytes
    let lane = row % 16
    switch format {
    case .float32:
      for k in 0..<inputs { target[k] = panel.load(fromByteOffset: k * 64 + lane * 4, as: Float.self) }
    case .bfloat16:
      // Word i of a step holds number i in its lower half and number i + 8 in its upper half.
      for k in 0..<inputs {
        let word = panel.load(fromByteOffset: k * 32 + lane % 8 * 4, as: UInt32.self)
        target[k] = Float(bitPattern: lane < 8 ? word &<< 16 : word & 0xffff_0000)
      }
    }
  }

  /// Bytes of the panels.
  public var byteCount: Int { panelCount * inputs * format.stepBytes }
}

/// How the numbers of a panel are held.
package enum PanelFormat: Sendable {
  case float32
  /// The upper halves of numbers whose lower halves are 0: the same numbers in half the memory.
  case bfloat16

  /// Bytes of one step, 16 numbers.
  @inlinable package var stepBytes: Int { self == .float32 ? 64 : 32 }
}
