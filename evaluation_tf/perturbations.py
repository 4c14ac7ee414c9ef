"""What may happen to a translated image before it is translated back: a way back that breaks then was no way back."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from common_tf.pictures.intensity import quantise
from common_tf.randomness import Stream

_NOISE = 0.02
_DRAWN = Stream("evaluation.perturbation")


def _blurred(images: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(image, (0, 0), 1.0) for image in images])


def _through_jpeg(images: np.ndarray) -> np.ndarray:
    results = []
    for image in images:
        _, code = cv2.imencode(".jpg", quantise(image), [cv2.IMWRITE_JPEG_QUALITY, 75])
        results.append(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255)
    return np.stack(results)


def _noisy(images: np.ndarray) -> np.ndarray:
    noise = _DRAWN.numpy(0).standard_normal(images.shape).astype(np.float32)
    return np.clip(images + _NOISE * noise, 0, 1)


PERTURBATIONS: Mapping[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "blurred": ("blurred, sigma 1 px", _blurred),
    "jpeg": ("as JPEG, quality 75", _through_jpeg),
    "noisy": (f"with noise, sigma {_NOISE:g}", _noisy),
}
"""Words and function by key; functions of images in [0, 1]."""
