import TensorBase

/// Attention of query rows over stored keys and values: decoding (spans of one row), prefill (spans of many).
///
///     out = sum_p e_p v_p / sum_p e_p,   e_p = exp(s_p - max s),   s_p = (q . k_p) * scale
///
/// - Parameters:
///   - out: [rows, H, D], `outStride` floats from row to row.
///   - query: [rows, H, D].
///   - statistics: receives (max s, sum of e) of each row and head, [rows, H, 2].
///
/// A row's bits depend on its query and the keys and values it sees alone: each score is one chain over D, the sum of
/// exponentials has lanes by position mod 16, the sum over values is a chain over positions that restarts every 512
/// positions, the parts added in order. Pages that neighbouring spans share are read once for all of them.
public func attention(
  _ out: UnsafeMutablePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
  spans: [AttentionSpan], shape: AttentionShape, statistics: UnsafeMutablePointer<Float>?, scratch: AttentionScratch,
  pool: WorkerPool
) {
  kernels.attention(
    out, outStride: outStride, query: query, queryStride: queryStride, spans: spans, shape: shape,
    statistics: statistics, scratch: scratch, pool: pool)
}

/// Attention of packed training rows: same bits as `attention(spans:)` over stored keys.
/// - Parameters: query and out [rows, H, D]; key and value [rows, K, D]; statistics [rows, H, 2] or nil.
public func attention(
  _ out: UnsafeMutablePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int,
  key: UnsafePointer<Float>, keyStride: Int, value: UnsafePointer<Float>, valueStride: Int,
  sequences: [AttentionSequence], shape: AttentionShape, statistics: UnsafeMutablePointer<Float>?,
  scratch: AttentionScratch, pool: WorkerPool
) {
  kernels.attention(
    out, outStride: outStride, query: query, queryStride: queryStride, key: key, keyStride: keyStride, value: value,
    valueStride: valueStride, sequences: sequences, shape: shape, statistics: statistics, scratch: scratch, pool: pool)
}

/// Backward of packed attention: overwrites dQuery, adds to dKey and dValue.
///
///     P = exp(s - max) / sum,   dV_p += sum_r P_rp dOut_r,   dS = P (dOut . v_p - dOut . out) scale
///     dQ_r = sum_p dS_rp k_p,   dK_p += sum_r dS_rp q_r
///
/// dKey and dValue of a position are one chain over (position of the query, head of the group) in order, going on from
/// the value they have: threads change nothing, and a shared prefix can take from several sequences in turn.
/// - Parameters: dQuery, dOut, out and query [rows, H, D]; dKey, dValue, key, value [rows, K, D]; statistics
///   [rows, H, 2] of the forward pass. dQuery may be `query`'s memory only if nothing else reads it.
public func attentionBackward(
  dQuery: UnsafeMutablePointer<Float>, dQueryStride: Int, dKey: UnsafeMutablePointer<Float>, dKeyStride: Int,
  dValue: UnsafeMutablePointer<Float>, dValueStride: Int, dOut: UnsafePointer<Float>, dOutStride: Int,
  out: UnsafePointer<Float>, outStride: Int, query: UnsafePointer<Float>, queryStride: Int, key: UnsafePointer<Float>,
  keyStride: Int, value: UnsafePointer<Float>, valueStride: Int, statistics: UnsafePointer<Float>,
  sequences: [AttentionSequence], shape: AttentionShape, scratch: AttentionScratch, pool: WorkerPool
) {
  kernels.attentionBackward(
    dQuery: dQuery, dQueryStride: dQueryStride, dKey: dKey, dKeyStride: dKeyStride, dValue: dValue,
    dValueStride: dValueStride, dOut: dOut, dOutStride: dOutStride, out: out, outStride: outStride, query: query,
    queryStride: queryStride, key: key, keyStride: keyStride, value: value, valueStride: valueStride,
    statistics: statistics, sequences: sequences, shape: shape, scratch: scratch, pool: pool)
}
