/// torch.optim.AdamW: w *= 1 - lr lambda; m += (1 - beta1) (g - m); v = beta2 v + (1 - beta2) g g;
/// w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps). Scalars are formed in fp64 and rounded once.
package struct AdamWStep: Sendable {
  /// What is left of a weight that decays.
  package let kept: Float
  package let firstShare, secondKept, secondShare, stepSize, root, eps: Float

  package init(_ settings: OptimizerSettings, step: Int, learningRate: Double) {
    let (beta1, beta2) = (settings.betas[0], settings.betas[1])
    kept = Float(1 - learningRate * settings.weightDecay)
    firstShare = Float(1 - beta1)
    secondKept = Float(beta2)
    secondShare = Float(1 - beta2)
    stepSize = Float(-(learningRate / (1 - Mathematics.power(beta1, step))))
    root = Float((1 - Mathematics.power(beta2, step)).squareRoot())
    eps = Float(settings.eps)
  }
}
