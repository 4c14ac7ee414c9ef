"""The founding document's "SSIM", which compares nothing with its own truth."""

import cv2
import numpy as np


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
