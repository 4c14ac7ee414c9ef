"""Intervals by resampling."""

import numpy as np


def bootstrap_mean(values: np.ndarray, *, resamples: int = 2000, confidence: float = 0.95, seed: int = 0) -> tuple:
    """The mean and its percentile-bootstrap interval (Efron 1979).

    Args:
        values: ``(n,)``, one independent value each (a patient, a phantom; not slices of one patient).
        resamples: draws of ``n`` values with replacement.
        confidence: of the interval.
        seed: of the draws.

    Returns:
        ``(mean, low, high)``; with ``n = 1`` the interval is ``nan``.
    """
    values = np.asarray(values, np.float64)
    if not values.size:
        raise ValueError("no values")
    if values.size == 1:
        return float(values[0]), float("nan"), float("nan")
    random = np.random.default_rng(seed)
    means = values[random.integers(0, values.size, (resamples, values.size))].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values.mean()), float(low), float(high)
