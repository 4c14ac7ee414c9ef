"""What the tests of the detector share: the script as a function, and small data sets that are drawn here."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train_detector
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

TINY = ("--image-size", "32", "--set", "filters=4", "--batch-size", "8")


def _save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def save() -> Callable[[Path, np.ndarray], Path]:
    """Writes pixels as a picture file, with the folders above it."""
    return _save


@pytest.fixture(scope="session")
def train() -> Callable[..., int]:
    """Runs train_detector.py with tiny networks; returns its exit code."""

    def run(*words: object) -> int:
        training = not {"--ensemble", "--explain", "--predict"} & set(words)
        return run_script(train_detector.main, [str(word) for word in (*(TINY if training else ()), *words)])

    return run


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory) -> Path:
    """yes/ and no/ with 24 drawn heads each; every third is there twice, once mirrored."""
    folder = tmp_path_factory.mktemp("classes")
    for label, probability in (("no", 0.0), ("yes", 1.0)):
        for number in range(24):
            image = quantise(draw_phantom(number + 100 * int(probability), size=48, lesion_probability=probability).mri)
            _save(folder / label / f"{label}{number}.png", image)
            if number % 3 == 0:
                _save(folder / label / f"{label}{number}_mirrored.png", image[:, ::-1])
    return folder


@pytest.fixture(scope="session")
def patients(tmp_path_factory) -> Path:
    """Four patients with three slices each: RGB images beside masks."""
    folder = tmp_path_factory.mktemp("patients")
    for patient in range(4):
        for number in range(3):
            head = draw_phantom(10 * patient + number, size=48, lesion_probability=1.0)
            place = folder / f"patient{patient}"
            _save(place / f"slice{number}.tif", np.stack([quantise(head.mri)] * 3, -1))
            _save(place / f"slice{number}_mask.tif", head.lesion.astype(np.uint8) * 255)
    return folder
