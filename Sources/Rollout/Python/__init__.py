"""Python workers of the rollout."""
