"""Fréchet distance of two sets of features (Heusel et al. 2017), fast and stable at any number of images."""

import numpy as np
from scipy import linalg

MINIMUM_IMAGES = 20
"""Fewer features say nothing about a covariance; `frechet_distance` refuses them."""


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` of the Gaussians fitted to two sets of features.

    With S = A^T A, where A holds the centred features over ``sqrt(n - 1)``, the eigenvalues of S1 S2 are the squared
    singular values of A1 A2^T, so ``tr (S1 S2)^(1/2)`` is the nuclear norm of that ``(n, m)`` matrix: exact, and no
    root of a singular covariance is ever taken. With more images than features the same value comes from the
    eigenvalues of ``S1^(1/2) S2 S1^(1/2)``. It is biased upwards at small n by about 1/n: compare at equal n only, and
    beside the distance of two real sets.

    Args:
        first, second: ``(n, d)`` and ``(m, d)``; both sets of at least `MINIMUM_IMAGES`.

    Raises:
        ValueError: too few features, other dimensions, or values that are not finite.
    """
    first, second = (np.asarray(features, np.float64) for features in (first, second))
    if first.ndim != 2 or first.shape[1:] != second.shape[1:]:
        raise ValueError(f"features of shapes {first.shape} and {second.shape} cannot be compared")
    if min(len(first), len(second)) < MINIMUM_IMAGES:
        raise ValueError(
            f"{min(len(first), len(second))} images; a Fréchet distance wants at least {MINIMUM_IMAGES} in each set"
        )
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("features that are not finite")
    means = first.mean(axis=0), second.mean(axis=0)
    a, b = ((features - mean) / np.sqrt(len(features) - 1) for features, mean in zip((first, second), means))
    trace = np.square(a).sum() + np.square(b).sum() - 2.0 * _root_trace(a, b)
    # Rounding can leave a little less than nothing where both sets are the same.
    return float(max(0.0, np.square(means[0] - means[1]).sum() + trace))


def _root_trace(a: np.ndarray, b: np.ndarray) -> float:
    """tr (S1 S2)^(1/2)."""
    if min(len(a), len(b)) <= a.shape[1]:
        # The smaller Gram matrix is enough, but squaring would halve the digits of small singular values.
        return float(linalg.svdvals(a @ b.T, overwrite_a=True, check_finite=False).sum())
    values, vectors = linalg.eigh(a.T @ a, check_finite=False)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    between = linalg.eigvalsh(root @ (b.T @ b) @ root, check_finite=False)
    return float(np.sqrt(np.clip(between, 0, None)).sum())
