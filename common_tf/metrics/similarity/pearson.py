"""Correlation of the pixels."""

import numpy as np

from common_tf.metrics.similarity._base import Metric, double, mean_over
from common_tf.metrics.similarity.cosine import cosine

ORDER = 80


def pearson(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Correlation of the pixels of two images, over the mask where one is given; nan where one is constant."""
    first, second = double(first), double(second)
    first = first - mean_over(first, mask)[:, None, None]
    second = second - mean_over(second, mask)[:, None, None]
    return cosine(first, second, mask=mask)


METRIC = Metric(pearson, "Pearson", "correlation of the pixels", "higher", regions=("head",), compared=True)
