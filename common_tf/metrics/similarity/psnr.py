"""Peak signal-to-noise ratio."""

import numpy as np

from common_tf.metrics.similarity._base import Metric
from common_tf.metrics.similarity.mse import mse

ORDER = 40


def psnr(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB for a range of 1: ``-10 log10(MSE)``; infinite for equal images."""
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(mse(first, second, mask=mask))


METRIC = Metric(psnr, "PSNR, dB", "-10 log10(MSE), range 1", "higher", digits=2, compared=True)
