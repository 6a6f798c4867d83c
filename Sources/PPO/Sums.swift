/// The sum of `values` in ascending order, so that no permutation of the samples changes a bit.
func orderFreeSum(_ values: [Double]) -> Double {
  values.sorted().reduce(0, +)
}

func clamp(_ x: Double, _ low: Double, _ high: Double) -> Double {
  x < low ? low : (x > high ? high : x)
}
