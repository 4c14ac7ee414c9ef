"""Precision and recall of two sets of features (Kynkäänniemi et al. 2019): realism and variety, told apart."""

from typing import NamedTuple

import numpy as np

NEIGHBOURS = 3
"""k of the source."""


class PrecisionRecall(NamedTuple):
    """Of a judged set against a reference.

    Attributes:
        precision: share of the judged that lie where the reference is: how real single images are.
        recall: share of the reference that lie where the judged are: how much of its variety is there.
    """

    precision: float
    recall: float


def precision_recall(reference: np.ndarray, judged: np.ndarray, *, neighbours: int = NEIGHBOURS) -> PrecisionRecall:
    """Improved precision and recall.

    A set's manifold is the union of balls around its members, each reaching to its k-th nearest fellow; a feature of
    the other set counts where it lies in any of them (equation 2). Both depend on n: compare at equal n only, beside
    two real sets.

    Args:
        reference, judged: ``(n, d)`` and ``(m, d)``.
        neighbours: k; 3 in the source.

    Raises:
        ValueError: fewer than k + 1 features, or other dimensions.
    """
    reference, judged = (np.asarray(features, np.float64) for features in (reference, judged))
    if reference.ndim != 2 or reference.shape[1:] != judged.shape[1:]:
        raise ValueError(f"features of shapes {reference.shape} and {judged.shape} cannot be compared")
    smaller = min(len(reference), len(judged))
    if smaller <= neighbours:
        raise ValueError(f"{smaller} images; precision and recall want at least {neighbours + 1} in each set")
    between = _distances(reference, judged)
    return PrecisionRecall(
        precision=float((between <= _radii(reference, neighbours)[:, None]).any(axis=0).mean()),
        recall=float((between <= _radii(judged, neighbours)[None, :]).any(axis=1).mean()),
    )


def _radii(features: np.ndarray, neighbours: int) -> np.ndarray:
    # The nearest is the feature itself.
    return np.sort(_distances(features, features), axis=1)[:, neighbours]


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    squares = np.square(first).sum(1)[:, None] + np.square(second).sum(1)[None] - 2.0 * first @ second.T
    return np.sqrt(np.maximum(0.0, squares))
