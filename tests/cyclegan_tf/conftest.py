"""Aligned pairs of drawn heads."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.volumes.phantom import draw_head, write_drawn


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


@pytest.fixture(scope="session")
def drawn_volumes(tmp_path_factory) -> Path:
    """trainA (CT), trainB (MRI) and pairs (both) of drawn heads in three dimensions; nothing is shared."""
    folder = tmp_path_factory.mktemp("volumes")
    for seed in range(6):
        for letter, kind in (("A", "ct"), ("B", "mri")):
            volume = getattr(draw_head(seed + 50 * (letter == "B"), spacing=(6.0, 6.0, 9.0)), kind)
            write_drawn(folder / f"train{letter}", volume, name=f"p{seed}", as_dicom=False)
    for seed in (100, 101):
        head = draw_head(seed, spacing=(6.0, 6.0, 9.0))
        for name, volume in (("CT", head.ct), ("MRI", head.mri)):
            write_drawn(folder / "pairs" / f"p{seed}", volume, name=name, as_dicom=False)
    return folder
