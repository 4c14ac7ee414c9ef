"""Full-reference similarity of two images; meaningful for aligned truth, or an input and its cycle.

All functions take images in [0, 1], ``(n, height, width)``, and return one float64 per image, ``(n,)``.
"""

from typing import Optional

import numpy as np
import tensorflow as tf


def mae(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Mean absolute error, over the mask (bool, same shape) where one is given."""
    return _mean(np.abs(_double(first) - _double(second)), mask)


def mse(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Mean squared error, over the mask where one is given."""
    return _mean(np.square(_double(first) - _double(second)), mask)


def psnr(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Peak signal-to-noise ratio in dB for a range of 1: ``-10 log10(MSE)``; infinite for equal images."""
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(mse(first, second, mask=mask))


def ssim(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
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
    return _mean(_double(maps), None if mask is None else mask[:, 5:-5, 5:-5])


def _double(images) -> np.ndarray:
    return np.asarray(images, np.float64)


def _mean(values: np.ndarray, mask: Optional[np.ndarray]) -> np.ndarray:
    if mask is None:
        return values.mean(axis=(1, 2))
    weights = np.asarray(mask, np.float64)
    with np.errstate(invalid="ignore"):
        return (values * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
