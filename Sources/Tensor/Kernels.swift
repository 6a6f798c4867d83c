import Foundation
import KernelsPortable
@_exported import TensorBase

#if arch(x86_64)
  import CProcessor
  import KernelsAVX2
#endif

/// The kernels in use: those of the best instruction set that this processor has. `MARTLET_KERNELS=portable` takes the
/// portable ones, for comparing: the bits are the same.
package let kernels: any KernelTable.Type = {
  #if arch(x86_64)
    if martlet_processor_is_x86_64_v3(), ProcessInfo.processInfo.environment["MARTLET_KERNELS"] != "portable" {
      return KernelsAVX2.Table.self
    }
  #endif
  return KernelsPortable.Table.self
}()

/// What the kernels in use are called, for people: "AVX2", "NEON", "portable".
public var kernelName: String { kernels.name }
