"""Metrics as pure functions on arrays in [0, 1]."""
