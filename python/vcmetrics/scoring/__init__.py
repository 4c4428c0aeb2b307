"""Score a prediction: metrics, baselines, replicates, scales."""
