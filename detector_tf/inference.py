"""Using a trained detector on pictures of any size."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.images.intensity import quantise
from common_tf.images.preparation import Preparation
from common_tf.images.reading import ImageData
from common_tf.metrics.calibration import to_probabilities
from common_tf.runs.config import load_config
from common_tf.runs.files import replace_json
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.model_file import load_model
from detector_tf.batches import with_channels
from detector_tf.config import DetectorConfig
from detector_tf.detector import batched_logits
from detector_tf.folds import refuse_folds
from detector_tf.preprocessing import DetectorInput

RECORD_FILE = "detector.json"


@dataclass(frozen=True)
class TrainedDetector:
    """A run, ready to judge pictures.

    Attributes:
        config: of the run.
        classes: names by class number; with two the second is the positive one.
        source: from pictures to squares.
        model: from squares in [-1, 1] to logits.
        temperature, threshold: chosen on the run's validation images.
    """

    config: DetectorConfig
    classes: Sequence[str]
    source: DetectorInput
    model: tf.keras.Model
    temperature: float
    threshold: float

    def squares(self, pictures: Sequence[ImageData]) -> np.ndarray:
        """``(n, size, size, channels)`` uint8, as in training."""
        gray = np.stack([quantise(self.source.square(picture)) for picture in pictures])
        return with_channels(gray, self.config.channels)

    def probabilities(self, pictures: Sequence[ImageData]) -> np.ndarray:
        """Calibrated class probabilities of pictures of any size, ``(n, classes)``."""
        logits = batched_logits(lambda batch: self.model(batch, training=False), self.squares(pictures))
        return to_probabilities(two_sided(logits), temperature=self.temperature)


def load_detector(run: Path) -> TrainedDetector:
    """Loads a finished run, or a fold of one.

    Raises:
        UserError: no run, a cross-validation as a whole, or damaged files.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; give the folder of a detector's run")
    refuse_folds(run)
    config = load_config(run / CONFIG_FILE, DetectorConfig)
    model = load_model(run)
    try:
        record = json.loads((run / RECORD_FILE).read_text(encoding="utf-8"))
        source = DetectorInput(**{**record["input"], "preparation": Preparation(**record["input"]["preparation"])})
        return TrainedDetector(
            config=config,
            classes=tuple(record["classes"]),
            source=source,
            model=model,
            temperature=record["temperature"],
            threshold=record["threshold"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{run / RECORD_FILE}: missing or damaged; the run has not ended yet?") from error


def write_record(
    run: Path, *, classes: Sequence[str], source: DetectorInput, temperature: float, threshold: float
) -> None:
    """Writes detector.json: what inference needs beside the model."""
    record = {"preparation": vars(source.preparation), "size": source.size}
    record.update(median=source.median, clahe=source.clahe)
    values = {"classes": list(classes), "temperature": temperature, "threshold": threshold, "input": record}
    replace_json(Path(run) / RECORD_FILE, values)


def two_sided(logits: np.ndarray) -> np.ndarray:
    """``(n, classes)``: one logit of two classes becomes (0, logit), whose softmax is the sigmoid."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)
