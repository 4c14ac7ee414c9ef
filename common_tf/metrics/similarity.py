"""Full-reference similarity of two images; meaningful for aligned truth, or an input and its cycle.

All functions take images in [0, 1], ``(n, height, width)``, and return one float64 per image, ``(n,)``.
"""

from typing import Optional

import cv2
import numpy as np
import tensorflow as tf


def mae(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Mean absolute error, over the mask (bool, same shape) where one is given."""
    return _mean(np.abs(_double(first) - _double(second)), mask)


def mse(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Mean squared error, over the mask where one is given."""
    return _mean(np.square(_double(first) - _double(second)), mask)


def rmse(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Root of the mean squared error, over the mask where one is given."""
    return np.sqrt(mse(first, second, mask=mask))


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


def ms_ssim(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Multi-scale SSIM (Wang et al. 2003) as in `tf.image.ssim_multiscale`, five scales; full frame only.

    Raises:
        ValueError: images smaller than 176x176 pixels, on which the smallest scale has no whole window.
    """
    if min(first.shape[1:]) < 176:
        raise ValueError("MS-SSIM wants images of at least 176x176 pixels")
    pair = (tf.convert_to_tensor(images[..., None], tf.float32) for images in (first, second))
    return tf.image.ssim_multiscale(*pair, max_val=1.0).numpy().astype(np.float64)


def cosine(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Cosine of the angle between two images as vectors on [0, 1]. It depends on the zero of the scale: on [-1, 1] an
    all-black picture reaches .9 against a real slice. `pearson` does not.
    """
    first, second = _double(first), _double(second)
    with np.errstate(invalid="ignore", divide="ignore"):
        lengths = np.sqrt(_mean(first**2, mask) * _mean(second**2, mask))
        return _mean(first * second, mask) / lengths


def pearson(first: np.ndarray, second: np.ndarray, *, mask: Optional[np.ndarray] = None) -> np.ndarray:
    """Correlation of the pixels of two images, over the mask where one is given; nan where one is constant."""
    first, second = _double(first), _double(second)
    first = first - _mean(first, mask)[:, None, None]
    second = second - _mean(second, mask)[:, None, None]
    return cosine(first, second, mask=mask)


def all_pairs_ssim(real: np.ndarray, fake: np.ndarray) -> float:
    """The "SSIM" of the code behind the document's table: every real image against every fake one.

    Mean over all pairs of SSIM with a uniform 7x7 window, sample covariance, K1 .01, K2 .03 and a data range of 2
    although the images are in [0, 1] (what scikit-image took for float images). It never compares an output with its
    input or its truth, and the wrong range makes the constants four times too large, which lifts every value.

    Args:
        real, fake: ``(n, height, width)`` and ``(m, height, width)`` in [0, 1].
    """
    # Borders of half a window are left out, as scikit-image does.
    crop = (slice(3, -3), slice(3, -3))
    sample = 49.0 / 48.0
    one, two = (0.01 * 2.0) ** 2, (0.03 * 2.0) ** 2

    def blur(image: np.ndarray) -> np.ndarray:
        return cv2.blur(image, (7, 7))[crop]

    def moments(images: np.ndarray) -> list:
        results = []
        for image in np.asarray(images, np.float64):
            mean = blur(image)
            results.append((image, mean, sample * (blur(image * image) - mean * mean)))
        return results

    total, fakes = 0.0, moments(fake)
    for x, mean_x, var_x in moments(real):
        for y, mean_y, var_y in fakes:
            covariance = sample * (blur(x * y) - mean_x * mean_y)
            upper = (2 * mean_x * mean_y + one) * (2 * covariance + two)
            total += float(np.mean(upper / ((mean_x**2 + mean_y**2 + one) * (var_x + var_y + two))))
    return total / (len(real) * len(fake))


def _double(images) -> np.ndarray:
    return np.asarray(images, np.float64)


def _mean(values: np.ndarray, mask: Optional[np.ndarray]) -> np.ndarray:
    if mask is None:
        return values.mean(axis=(1, 2))
    weights = np.asarray(mask, np.float64)
    with np.errstate(invalid="ignore"):
        return (values * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
