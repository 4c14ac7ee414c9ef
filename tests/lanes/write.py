#!/usr/bin/env python3
"""Writes what `tests/test_lanes.py` reads: small runs of the lane that runs it, and what they made of one drawn head.

.venv/bin/python tests/lanes/write.py; .venv-current/bin/python tests/lanes/write.py
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

import train_cyclegan  # noqa: E402
import train_detector  # noqa: E402
from common_tf.lanes import LANE  # noqa: E402
from common_tf.pictures.intensity import quantise  # noqa: E402
from common_tf.pictures.phantom import draw_phantom  # noqa: E402
from common_tf.pictures.picture import Picture  # noqa: E402
from cyclegan_tf.inference import load_translator  # noqa: E402
from detector_tf.inference import load_detector  # noqa: E402

SYSTEMS = ("cyclegan", "pccgan")
KEPT = ("config.yaml", "preparation.yaml", "detector.json", "weights")


def outputs(folder: Path) -> dict[str, np.ndarray]:
    """What the runs of a folder make of a drawn head: translations in [0, 1], and probabilities."""
    picture = Picture(quantise(draw_phantom(7, size=48).ct))
    made = {}
    for system in SYSTEMS:
        translator = load_translator(folder / system)
        (made[system],) = translator.translate_pictures([picture], source="CT", network="a_to_b")
    made["detector"] = load_detector(folder / "detector").probabilities([picture])
    return made


def main() -> None:
    """Trains, and keeps what inference needs."""
    small = ["--image-size", "32", "--precision", "float32", "--data", "phantom", "--set", "phantoms=8"]
    with tempfile.TemporaryDirectory() as made:
        for system in SYSTEMS:
            filters = ["--set", "generator_filters=2", "--set", "discriminator_filters=2"]
            train_cyclegan.main(["--model", system, "--run", f"{made}/{system}", "--steps", "3", *small, *filters])
        detector = ["--image-size", "32", "--data", "phantom", "--set", "phantoms=40", "--set", "filters=4"]
        train_detector.main(["--run", f"{made}/detector", "--epochs", "1", *detector])
        target = HERE / LANE
        shutil.rmtree(target, ignore_errors=True)
        for run in (*SYSTEMS, "detector"):
            for name in KEPT:
                source = Path(made) / run / name
                if source.is_dir():
                    shutil.copytree(source, target / run / name)
                elif source.exists():
                    (target / run).mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, target / run / name)
            for record in (target / run / "weights").glob("last*"):
                record.unlink()
    np.savez_compressed(target / "outputs.npz", **outputs(target))


if __name__ == "__main__":
    main()
