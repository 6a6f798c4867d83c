/// Linear interpolation between the two nearest of `sorted` (numpy's and PyTorch's default).
func quantile(_ sorted: [Double], _ q: Double) -> Double {
  let place = q * Double(sorted.count - 1)
  let lower = Int(place)
  let upper = min(lower + 1, sorted.count - 1)
  return sorted[lower] + (place - Double(lower)) * (sorted[upper] - sorted[lower])
}
