import Support
import Tensor

extension Configuration {
  /// Checks every value by itself, and against those it must fit.
  /// - Throws: `MartletError` (configuration) naming file and key of the first value that makes no sense.
  public func validate(path: String) throws {
    do {
      try checkSteps()
      try checkBatches()
      try checkSampling()
      try checkData()
      if let problem = prompt.problem { throw MartletError(.configuration, "prompt.\(problem)") }
      if let problem = loss.problems.first { throw MartletError(.configuration, "loss: \(problem)") }
      try optimizer.validate()
    } catch let error as MartletError {
      throw MartletError(error.status, "\(path): \(error.message)")
    }
  }

  private func require(_ holds: Bool, _ key: CodingKeys, _ text: @autoclosure () -> String) throws {
    if !holds { throw MartletError(.configuration, "\(key.rawValue): \(text())") }
  }

  private func checkSteps() throws {
    try require(steps >= 0, .steps, "\(steps) is not a number of steps")
    try require(
      saveMinutes >= 0 && saveMinutes.isFinite, .saveMinutes, "\(saveMinutes) is not a number of minutes")
    try require(saveEvery >= 0, .saveEvery, "\(saveEvery) is not a number of steps")
    try require(keepLast >= 0, .keepLast, "\(keepLast) is not a number of checkpoints")
    try require(
      evalEvery >= 0 && (evalEvery == 0 || evaluates), .evalEvery,
      "\(evalEvery) is not a number of steps, or there are no problems of eval_data or task.eval_count")
    try require(keepEvery >= 0, .keepEvery, "\(keepEvery) is not a number of steps")
  }

  private func checkBatches() throws {
    try require(gradientShards >= 1, .gradientShards, "\(gradientShards) must be at least 1")
    if let problem = lora.problem { throw MartletError(.configuration, "lora: \(problem)") }
    try require(lora.rank == 0 || matmul != .blas, .lora, "needs matmul mixed or exact")
    try require(
      (1...gradientShards).contains(ranks), .ranks, "\(ranks) must be from 1 to gradient_shards (\(gradientShards))")
    try require(
      !groups.knapsack || (samplesPerPrompt >= 2 && groups.knapsackMaximum >= 2), .groups,
      "knapsack needs samples_per_prompt and knapsack_maximum of at least 2")
    try require(promptsPerStep >= 1, .promptsPerStep, "\(promptsPerStep) must be at least 1")
    try require(samplesPerPrompt >= 1, .samplesPerPrompt, "\(samplesPerPrompt) must be at least 1")
    try require(
      !groups.cleanSuccesses || (samplesPerPrompt >= 2 && !groups.knapsack), .groups,
      "clean_successes needs samples_per_prompt of at least 2, and no knapsack, which chooses the number of samples "
        + "itself")
    let sampled = Double(samplesPerPrompt) * (groups.cleanSuccesses ? 2 : 1)
    let responses = Double(promptsPerStep) * sampled * Double(max(1, groups.refill))
    try require(
      groups.refill >= 0 && responses <= 0x1p31, .promptsPerStep,
      "times samples_per_prompt, times groups.refill, are \(responses) responses a step; give smaller numbers")
    // Else one step could make the adaptive coefficient negative: a reward for leaving the reference.
    let fifth = 0.2 * Double(promptsPerStep) * Double(samplesPerPrompt)
    try require(
      loss.klTarget == 0 || loss.klHorizon > fifth, .loss,
      "kl_horizon \(loss.klHorizon) must be above a fifth of a step's responses (\(fifth))")
    try require(updateBatch >= 1, .updateBatch, "\(updateBatch) must be at least 1")
    try require(microBatchTokens >= 1, .microBatchTokens, "\(microBatchTokens) must be at least 1")
    try require(slots >= 1, .slots, "\(slots) must be at least 1")
    try require(!trainAuthors.isEmpty, .trainAuthors, "name at least one of model, hint")
    try require(
      !trainAuthors.contains(.prompt) && !trainAuthors.contains(.tool), .trainAuthors,
      "only tokens of model and hint can be trained on")
  }

  private func checkSampling() throws {
    try require(
      sampling.temperature == 0 || (sampling.temperature >= 0.001 && sampling.temperature.isFinite), .sampling,
      "temperature \(sampling.temperature) must be 0 (greedy), or from 0.001 on")
    try require(sampling.topP > 0 && sampling.topP <= 1, .sampling, "top_p \(sampling.topP) must be in (0, 1]")
    try require(sampling.topK >= 0, .sampling, "top_k \(sampling.topK) must be 0 (off) or more")
    try require(sampling.maxTokens >= 1, .sampling, "max_tokens \(sampling.maxTokens) must be at least 1")
    try require(sampling.maxCalls >= 0, .sampling, "max_calls \(sampling.maxCalls) must be 0 or more")
    try require(
      (0...sampling.maxTokens).contains(reward.overlongBuffer), .reward,
      "overlong_buffer \(reward.overlongBuffer) must be from 0 to sampling.max_tokens (\(sampling.maxTokens))")
  }

  private func checkData() throws {
    try require(
      dataWeights.allSatisfy { $0 > 0 && $0 <= 1e9 }, .dataWeights, "weights must be above 0, and at most 1e9")
    let band = groups.rateBand
    try require(
      band.count == 2 && band[0] >= 0 && band[0] <= band[1] && band[1] <= 1, .groups,
      "rate_band must be two rates, the lower and the upper, from 0 to 1")
    try require(
      hint.count >= 1 && hint.rounds >= 1 && hint.maxTokens >= 0, .hint,
      "count and rounds must be at least 1, max_tokens 0 (any) or more")
    try require((0...1000).contains(testHints.rounds), .testHints, "rounds must be from 0 (none) to 1000")
    try require(
      testHints.rounds == 0 || !(testHints.hesitation.isEmpty && testHints.end.isEmpty), .testHints,
      "hesitation and end are both empty, so no hint has a place; give one of them")
    try require(
      rejection.perProblem >= 1 && rejection.maxTokens >= 0, .rejection,
      "per_problem must be at least 1, max_tokens 0 (any) or more")
    try require(
      reward.overlongFactor >= 0, .reward, "overlong_factor \(reward.overlongFactor) must be 0 or more")
    try require(
      interpreter.timeLimit > 0 && interpreter.memoryBytes > 0 && interpreter.outputBytes > 0
        && interpreter.outputLimit > 0 && interpreter.processLimit > 0, .interpreter,
      "time_limit, memory, output, output_limit and processes must be above 0")
    // A wait is counted in milliseconds, in 32 bits.
    try require(interpreter.timeLimit <= 1_000_000, .interpreter, "time_limit must be at most 1000000 seconds")
    try require(
      (0...1e6).contains(reward.commandTimeLimit) && reward.commandTimeLimit > 0, .reward,
      "command_time_limit \(reward.commandTimeLimit) must be a number of seconds above 0 and up to 1000000")
    try require(
      (0...1e6).contains(grader.timeLimit) && grader.timeLimit > 0, .grader,
      "time_limit \(grader.timeLimit) must be a number of seconds above 0 and up to 1000000")
    try require(
      (1...1_000_000).contains(task.count) && (0...1_000_000).contains(task.evalCount), .task,
      "count \(task.count) must be from 1 to 1000000, eval_count \(task.evalCount) from 0")
    try require(
      (0...1e6).contains(task.timeLimit) && task.timeLimit > 0, .task,
      "time_limit \(task.timeLimit) must be a number of seconds above 0 and up to 1000000")
    try require(model == nil || newModel == nil, .newModel, "give either model or new_model")
  }
}
