import TensorBase

/// This instruction set's version of the kernels.
package enum Table: KernelTable {
  #if MARTLET_AVX2
    package static var name: String { "AVX2" }
  #elseif arch(arm64)
    package static var name: String { "NEON" }
  #else
    package static var name: String { "portable" }
  #endif
}
