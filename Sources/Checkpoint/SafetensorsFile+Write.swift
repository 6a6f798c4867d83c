import Foundation
import Support
import Tensor

extension SafetensorsFile {
  /// A tensor to write.
  struct Source {
    let name: String
    let shape: [Int]
    let values: UnsafeBufferPointer<Float>
  }

  /// Writes the file atomically: tensors in the given order, all of one type.
  static func write(_ tensors: [Source], _ type: StoredType, to path: String) throws {
    var items = [#""__metadata__":{"format":"pt"}"#]
    var offsets: [Int] = []
    var next = 0
    for tensor in tensors {
      offsets.append(next)
      let end = next + tensor.values.count * type.byteCount
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      items.append(
        #""\#(tensor.name)":{"dtype":"\#(NumberFormat(type).rawValue)","shape":[\#(shape)],"#
          + #""data_offsets":[\#(next),\#(end)]}"#)
      next = end
    }
    var header = Data("{\(items.joined(separator: ","))}".utf8)
    // Spaces at its end put the tensors at a multiple of 8, as the format's own library does.
    header.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - header.count % 8) % 8))
    let length = Data(withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) })
    let start = length.count + header.count
    let file = try OutputFile(replacing: path, bytesNeeded: start + next)
    try (length + header).withUnsafeBytes { try file.write($0, at: 0) }
    for (tensor, offset) in zip(tensors, offsets) { try writeFloats(tensor.values, type, to: file, at: start + offset) }
    try file.commit()
  }
}
