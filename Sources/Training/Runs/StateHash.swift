import Support
import Tensor

/// SHA-256 over buffers and counters: the identity of a training state. Blocks of 1 Mi floats are hashed in parallel
/// and their digests in order, so the thread count does not matter.
func stateHash(_ buffers: [FloatBuffer], counters: [Int], pool: WorkerPool) -> String {
  let block = 1 << 20
  var outer = SHA256()
  for buffer in buffers {
    let blocks = (buffer.count + block - 1) / block
    var digests = [[UInt8]](repeating: [], count: blocks)
    digests.withUnsafeMutableBufferPointer { digests in
      nonisolated(unsafe) let digests = digests
      pool.run(blocks) { index in
        let part = buffer[index * block..<min((index + 1) * block, buffer.count)]
        var hash = SHA256()
        hash.update(UnsafeRawBufferPointer(part))
        digests[index] = hash.digest()
      }
    }
    for digest in digests { outer.update(digest) }
  }
  for counter in counters { outer.update(withUnsafeBytes(of: Int64(counter).littleEndian) { Array($0) }) }
  return outer.hexDigest()
}
