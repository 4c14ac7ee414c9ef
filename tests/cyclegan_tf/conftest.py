"""Aligned pairs of drawn heads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom


@pytest.fixture(scope="session")
def strips(tmp_path_factory) -> Path:
    """Aligned pairs of three patients, for the system that wants them."""
    folder = tmp_path_factory.mktemp("strips")
    rows = ["file,patient"]
    for seed in range(9):
        head = draw_phantom(seed, size=48)
        strip = np.hstack([quantise(head.mri), quantise(head.ct), 255 * head.head.astype(np.uint8)])
        (folder / "train").mkdir(exist_ok=True)
        Image.fromarray(strip).save(folder / "train" / f"{seed}.png")
        rows.append(f"train/{seed}.png,patient{seed // 2}")
    (folder / "patients.csv").write_text("\n".join(rows))
    return folder
