/// Wall time by part of the work, for `--profile`. The clock is handed in.
///
/// All time counts for the part that was begun last. A pass without a timer does the same work, bit for bit.
///
/// Not thread-safe: parts are begun by the thread that hands out work, never by those that take it.
public final class PartTimer {
  /// The parts of the work that are told apart.
  public enum Part: String, CaseIterable, Codable, Sendable {
    /// Weights laid out for the products that follow.
    case packing
    /// Layers of steps that read prompts or tool outputs, and of those that only draw; attention apart.
    case prefill, decode
    case decodeAttention = "decode_attention"
    /// Logits of the tokens that are drawn.
    case decodeHead = "decode_head"
    case draw
    /// Every open sequence waits for its interpreter.
    case tools
    case forward
    case forwardAttention = "forward_attention"
    /// Log-probs of the targets, with their way back.
    case head
    case backward
    case backwardAttention = "backward_attention"
    case optimizer, checkpoint
    /// What no other part names.
    case other
  }

  /// Seconds by part; those without any are left out.
  public typealias Seconds = [Part: Double]

  private let now: () -> Double
  private var part = Part.other
  private var since: Double
  private var seconds: Seconds = [:]
  /// What was spent in all, up to the part under way.
  public private(set) var total: Seconds = [:]

  /// - Parameter now: seconds since any fixed moment.
  public init(now: @escaping () -> Double) {
    self.now = now
    since = now()
  }

  /// Ends the part under way and begins another.
  public func begin(_ next: Part) {
    let time = now()
    seconds[part, default: 0] += time - since
    total[part, default: 0] += time - since
    since = time
    part = next
  }

  /// What was spent since it was asked last; the part under way goes on.
  public func take() -> Seconds {
    begin(part)
    defer { seconds = [:] }
    return seconds.filter { $0.value > 0 }
  }
}
