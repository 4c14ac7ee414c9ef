"""Structural similarity, as tf.image has it."""

import numpy as np
import tensorflow as tf

from common_tf.metrics.similarity._base import Metric, double, mean_over

ORDER = 50


def ssim(first: np.ndarray, second: np.ndarray, *, mask: np.ndarray | None = None) -> np.ndarray:
    """Structural similarity (Wang et al. 2004): 11x11 Gaussian window, sigma 1.5, K1 .01, K2 .03, range 1.

    Without a mask the mean of `tf.image.ssim`'s map. With one, the mean of the map over the mask: only windows that lie
    wholly inside the image count, so the mask loses its outermost 5 pixels at the image's edge.

    Raises:
        ValueError: images smaller than the window.
    """
    if min(first.shape[1:]) < 11:
        raise ValueError("SSIM wants images of at least 11x11 pixels")
    maps = tf.image.ssim(
        tf.convert_to_tensor(first[..., None], tf.float32),
        tf.convert_to_tensor(second[..., None], tf.float32),
        max_val=1.0,
        return_index_map=True,
    )
    return mean_over(double(maps), None if mask is None else mask[:, 5:-5, 5:-5])


METRIC = Metric(
    ssim, "SSIM", "tf.image.ssim (Gaussian 11x11, sigma 1.5, K .01 and .03), range 1", "higher", compared=True
)
