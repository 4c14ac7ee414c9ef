"""Kernel distance of two sets of features (KID, Binkowski et al. 2018): unbiased, so usable at small n."""

import numpy as np

from common_tf.randomness import Stream

MINIMUM_IMAGES = 10
_LARGEST_SUBSET = 1000
_SUBSETS = Stream("kernel.subsets")


def kernel_distance(first: np.ndarray, second: np.ndarray, *, subsets: int = 100, seed: int = 0) -> dict:
    """The unbiased squared maximum mean discrepancy with the kernel ``(x.y / d + 1)^3``, over random subsets.

    Each subset holds half of the smaller set (at most 1,000 features) from either side; kernels are computed once for
    all of them.

    Args:
        first, second: ``(n, d)`` and ``(m, d)``; at least 10 each.
        subsets: how many.
        seed: of their draws.

    Returns:
        ``mean`` and ``standard_deviation`` over the subsets, their number and size. Values below 0 are chance: the
        estimate is unbiased, and the truth is 0 for equal distributions.

    Raises:
        ValueError: too few features, or other dimensions.
    """
    first, second = (np.asarray(features, np.float64) for features in (first, second))
    if first.ndim != 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(f"features of shapes {first.shape} and {second.shape} cannot be compared")
    smaller = min(len(first), len(second))
    if smaller < MINIMUM_IMAGES:
        raise ValueError(f"{smaller} images; a kernel distance wants at least {MINIMUM_IMAGES} in each set")
    size = min(_LARGEST_SUBSET, smaller // 2)
    random = _SUBSETS.numpy(seed)
    kernels = [_kernel(x, y) for x, y in ((first, first), (second, second), (first, second))]
    values = []
    for _ in range(subsets):
        i = random.choice(len(first), size, replace=False)
        j = random.choice(len(second), size, replace=False)
        values.append(_mmd(kernels[0][np.ix_(i, i)], kernels[1][np.ix_(j, j)], kernels[2][np.ix_(i, j)]))
    return {
        "mean": float(np.mean(values)),
        "standard_deviation": float(np.std(values, ddof=1)) if subsets > 1 else float("nan"),
        "subsets": subsets,
        "subset_size": size,
    }


def squared_mmd(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased estimate on all features at once (Gretton et al. 2012, lemma 6)."""
    first, second = (np.asarray(features, np.float64) for features in (first, second))
    return _mmd(_kernel(first, first), _kernel(second, second), _kernel(first, second))


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1.0) ** 3


def _mmd(xx: np.ndarray, yy: np.ndarray, xy: np.ndarray) -> float:
    n, m = xy.shape
    within = (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1))
    return float(within - 2.0 * xy.mean())
