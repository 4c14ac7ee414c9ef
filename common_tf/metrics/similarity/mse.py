"""Mean squared error."""

import numpy as np

from common_tf.metrics.similarity._base import Metric, double, mean_over

ORDER = 30


def mse(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Mean squared error, over the mask where one is given."""
    return mean_over(np.square(double(first) - double(second)), mask)


METRIC = Metric(mse, "MSE", "mean squared error", "lower", digits=4, regions=("head",))
