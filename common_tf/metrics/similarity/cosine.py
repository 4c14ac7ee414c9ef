"""Cosine similarity."""

import numpy as np

from common_tf.metrics.similarity._base import Metric, double, mean_over

ORDER = 70


def cosine(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Cosine of the angle between two images as vectors on [0, 1]. It depends on the zero of the scale: on [-1, 1] an
    all-black picture reaches .9 against a real slice. `pearson` does not.
    """
    first, second = double(first), double(second)
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.sqrt(mean_over(first**2, mask) * mean_over(second**2, mask))
        return mean_over(first * second, mask) / lengths


METRIC = Metric(
    cosine, "Cosine", "cosine of the images as vectors; it rewards a common background", "higher", regions=("full",)
)
