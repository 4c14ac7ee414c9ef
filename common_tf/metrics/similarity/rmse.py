"""Root of the mean squared error."""

import numpy as np

from common_tf.metrics.similarity._base import Metric
from common_tf.metrics.similarity.mse import mse

ORDER = 20


def rmse(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Root of the mean squared error, over the mask where one is given."""
    return np.sqrt(mse(first, second, mask=mask))


METRIC = Metric(rmse, "RMSE", "root of the mean squared error", "lower", compared=True)
