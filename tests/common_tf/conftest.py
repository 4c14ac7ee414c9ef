"""What the tests of the ground floor share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom


@pytest.fixture(scope="session")
def save() -> Callable[[Path, np.ndarray], Path]:
    """Writes pixels (floats are in [0, 1]) as a picture file, with the folders above it, and returns its path."""

    def write(path: Path, pixels: np.ndarray) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(quantise(pixels) if pixels.dtype.kind == "f" else pixels).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def heads() -> list:
    """Drawn heads of 48 px."""
    return [draw_phantom(seed, size=48) for seed in range(24)]
