"""The run folder: config, checkpoints, history, samples, resume."""
