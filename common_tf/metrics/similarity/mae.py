"""Mean absolute error."""

import numpy as np

from common_tf.metrics.similarity._base import Metric, double, mean_over

ORDER = 10


def mae(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean absolute error, over the mask (bool, same shape) where one is given."""
    return mean_over(np.abs(double(first) - double(second)), mask)


METRIC = Metric(mae, "MAE", "mean absolute error", "lower", compared=True)
