"""Intervals by resampling: one set of draws for every figure, so that a figure has one interval wherever it stands."""

from collections.abc import Callable
from typing import Any

import numpy as np

from common_tf.randomness import Stream

RESAMPLES = 1000
CONFIDENCE = 0.95
_BOOTSTRAP = Stream("bootstrap")


def resampled_groups(count: int) -> np.ndarray:
    """Which groups each resample draws, ``(RESAMPLES, count)`` int: as many as there are, with replacement."""
    return _BOOTSTRAP.numpy(0, count).integers(0, count, (RESAMPLES, count))


def percentile_interval(results: np.ndarray) -> tuple[float, float]:
    """The ends of the percentile interval (Efron 1979) of a statistic's resamples; those that are nan are left out.

    Infinite ones are not: an interval of what happens to be finite would leave out the figure itself.
    """
    defined = results[~np.isnan(results)]
    if not defined.size:
        return float("nan"), float("nan")
    # Between a number and infinity there is nothing to interpolate.
    method: Any = "linear" if np.isfinite(defined).all() else "nearest"
    low, high = np.quantile(defined, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method=method)
    return float(low), float(high)


def grouped_statistic(
    values: np.ndarray, groups: np.ndarray | None = None, *, statistic: Callable[[np.ndarray], float] = np.mean
) -> tuple[float, float, float]:
    """A statistic of values that are not independent, with its percentile interval over whole groups.

    Args:
        values: ``(n,)``; nan (not defined) is left out.
        groups: ``(n,)`` names of the group (patient, near-duplicates) of each; ``None`` where each stands alone.
        statistic: of a ``(k,)`` array; the mean is done at once for all resamples.

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
    drawn = resampled_groups(len(names))
    if statistic is np.mean:
        sums, counts = np.bincount(members, weights=values), np.bincount(members)
        results = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    else:
        parts = [values[members == number] for number in range(len(names))]
        results = np.array([statistic(np.concatenate([parts[i] for i in row])) for row in drawn])
    return (value, *percentile_interval(results))
