/// How matrix products are computed; see `docs/decisions.md`.
public enum MatmulMode: String, Codable, Sendable, CaseIterable {
  /// Forward products are exact chains, gradient products go through OpenBLAS on panels of a fixed size.
  case mixed
  /// Gradient products are exact chains too: the same bits on every type of processor, and however a batch is cut.
  case exact
  /// OpenBLAS everywhere, for comparing cost: a sampled log-prob no longer equals the trainer's.
  case blas
}
