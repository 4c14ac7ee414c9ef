"""Intervals by resampling."""

from typing import Callable, Optional

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


def grouped_statistic(
    values: np.ndarray,
    groups: Optional[np.ndarray] = None,
    *,
    statistic: Callable[[np.ndarray], float] = np.mean,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> tuple:
    """A statistic of values that are not independent, with its percentile interval over whole groups.

    Args:
        values: ``(n,)``; nan (not defined) is left out.
        groups: ``(n,)`` names of the group (patient, near-duplicates) of each; ``None`` where each stands alone.
        statistic: of a ``(k,)`` array; the mean is done at once for all resamples.
        resamples: draws of as many groups as there are, with replacement, each with all its values.
        confidence: of the interval.
        seed: of the draws.

    Returns:
        ``(value, low, high)``; low and high are nan with a single group. All nan where no value is defined.
    """
    values = np.asarray(values, np.float64)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    groups, values = groups[~np.isnan(values)], values[~np.isnan(values)]
    if not values.size:
        return (float("nan"),) * 3
    names, members = np.unique(groups, return_inverse=True)
    value = float(statistic(values))
    if len(names) < 2:
        return value, float("nan"), float("nan")
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(names), (resamples, len(names)))
    if statistic is np.mean:
        sums, counts = np.bincount(members, weights=values), np.bincount(members)
        results = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    else:
        parts = [values[members == number] for number in range(len(names))]
        results = np.array([statistic(np.concatenate([parts[i] for i in row])) for row in drawn])
    low, high = np.quantile(results, [(1 - confidence) / 2, (1 + confidence) / 2])
    return value, float(low), float(high)
