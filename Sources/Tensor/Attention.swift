import TensorBase

/// Attention of query rows over stored keys and values: decoding (spans of one row), prefill (spans of many).
///
///     out = sum_p e_p v_p / sum_p e_p,   e_p = exp(s_p - max s),   s_p = (q . k_p) * scale
///
/// - Parameters:
///   - out: [rows, H, D].
///   - query: [rows, H, D].
///   - spans: the rows, each with where it stands and the keys and values that it sees.
///   - statistics: receives (max s, sum of e) of each row and head, [rows, H, 2].
///
/// A row's bits depend on its query and the keys and values it sees alone: each score is one chain over D, the sum of
/// exponentials has lanes by position mod 16, the sum over values is a chain over positions that restarts every 512
/// positions, the parts added in order. Pages that neighbouring spans share are read once for all of them.
public func attention(
  _ out: MutableRows, query: Rows, spans: [AttentionSpan], shape: AttentionShape,
  statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool
) {
  kernels.attention(
    out, query: query, spans: spans, shape: shape, statistics: statistics, scratch: scratch, pool: pool)
}

/// Attention of packed training rows: same bits as `attention(spans:)` over stored keys.
/// - Parameters:
///   - out: [rows, H, D].
///   - sequences: which rows belong together. Rows of none are left as they are.
///   - statistics: receives (max s, sum of e) of each row and head, [rows, H, 2]; the backward pass needs them.
public func attention(
  _ out: MutableRows, _ inputs: AttentionInputs, sequences: [AttentionSequence],
  statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch, pool: WorkerPool
) {
  kernels.attention(out, inputs, sequences: sequences, statistics: statistics, scratch: scratch, pool: pool)
}

/// Backward of packed attention: overwrites dQuery, adds to dKey and dValue.
///
///     P = exp(s - max) / sum,   dV_p += sum_r P_rp dOut_r,   dS = P (dOut . v_p - dOut . out) scale
///     dQ_r = sum_p dS_rp k_p,   dK_p += sum_r dS_rp q_r
///
/// dKey and dValue of a position are one chain over (position of the query, head of the group) in order, going on from
/// the value they have: threads change nothing, and a shared prefix can take from several sequences in turn.
/// - Parameters:
///   - gradients: dQuery may be `inputs.query`'s memory only if nothing else reads it.
///   - dOut: [rows, H, D], dLoss / dOut.
///   - out: what the forward pass wrote.
///   - statistics: [rows, H, 2], of the forward pass.
public func attentionBackward(
  _ gradients: AttentionGradients, dOut: Rows, out: Rows, statistics: UnsafePointer<Float>, _ inputs: AttentionInputs,
  sequences: [AttentionSequence], scratch: AttentionScratch, pool: WorkerPool
) {
  kernels.attentionBackward(
    gradients, dOut: dOut, out: out, statistics: statistics, inputs, sequences: sequences, scratch: scratch, pool: pool)
}
