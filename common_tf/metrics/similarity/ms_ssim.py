"""Multi-scale structural similarity, as tf.image has it."""

import numpy as np
import tensorflow as tf

from common_tf.metrics.similarity._base import Metric

ORDER = 60


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Multi-scale SSIM (Wang et al. 2003) as in `tf.image.ssim_multiscale`, five scales; full frame only.

    Raises:
        ValueError: images smaller than 176x176 pixels, on which the smallest scale has no whole window.
    """
    if min(first.shape[1:]) < 176:
        raise ValueError("MS-SSIM wants images of at least 176x176 pixels")
    pair = (tf.convert_to_tensor(images[..., None], tf.float32) for images in (first, second))
    return tf.image.ssim_multiscale(*pair, max_val=1.0).numpy().astype(np.float64)


METRIC = Metric(ms_ssim, "MS-SSIM", "tf.image.ssim_multiscale, five scales, range 1", "higher", regions=("full",))
