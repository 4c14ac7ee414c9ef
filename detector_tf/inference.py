"""Using a trained detector on pictures of any size."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.files import read_json, replace_json
from common_tf.metrics.calibration import to_probabilities
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation, preparation_from
from common_tf.pictures.readers import FileFacts
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.batches import with_channels
from detector_tf.config import DetectorConfig, load_detector_config
from detector_tf.folds import refuse_folds
from detector_tf.preprocessing import DetectorInput, Enhancement
from detector_tf.sections import SLICE
from detector_tf.trainable import batched_logits

RECORD_FILE = "detector.json"


@dataclass(frozen=True)
class Record:
    """What inference needs beside the network: detector.json.

    Attributes:
        classes: names by class number; with two the second is the positive one.
        source: from pictures to squares.
        temperature, threshold: chosen on the run's validation images.
    """

    classes: Sequence[str]
    source: DetectorInput
    temperature: float
    threshold: float


@dataclass(frozen=True)
class TrainedDetector(Record):
    """A run, ready to judge pictures.

    Attributes:
        config: of the run.
        model: from squares in [-1, 1] to logits.
    """

    config: DetectorConfig
    model: tf.keras.Model

    def for_files(
        self, facts: Mapping[str, FileFacts], *, window: tuple[float, float] | None = None
    ) -> "TrainedDetector":
        """The detector for a set of files, perhaps of another depth than those that it was trained on.

        Args:
            facts: of all of these files, by name; deep ones share one scale.
            window: black and white that the user gave.

        Raises:
            UserError: deep files whose black or white cannot be known.
        """
        preparation = self.source.preparation.for_files(facts, name=SLICE, window=window)
        return self.prepared_by(preparation)

    def prepared_by(self, preparation: Preparation) -> "TrainedDetector":
        """The detector for pictures that are prepared in another way, such as the slices of a volume."""
        return replace(self, source=replace(self.source, preparation=preparation))

    def squares(self, pictures: Sequence[Picture]) -> np.ndarray:
        """``(n, size, size, channels)`` uint8, as in training.

        Raises:
            ValueError: deep pictures for a detector that knows only 8 bits; see `for_files`.
        """
        gray = np.stack([self.source.square(picture) for picture in pictures])
        return with_channels(gray, self.model.input.shape[-1])

    def probabilities(self, pictures: Sequence[Picture], facts: Mapping[str, FileFacts] | None = None) -> np.ndarray:
        """Calibrated class probabilities of pictures of any size, ``(n, classes)``.

        Args:
            pictures: to be judged.
            facts: of the files of the set; see `for_files`.
        """
        detector = self if facts is None else self.for_files(facts)
        return detector.probabilities_of(detector.squares(pictures))

    def probabilities_of(self, squares: np.ndarray) -> np.ndarray:
        """`probabilities` of what `squares` made."""
        logits = batched_logits(lambda batch: self.model(batch, training=False), squares, side=squares.shape[1])
        return to_probabilities(two_sided(logits), temperature=self.temperature)


def load_detector(run: Path) -> TrainedDetector:
    """Loads a finished run, or a fold of one.

    Raises:
        UserError: no run, one that segments, a cross-validation as a whole, or damaged files.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; give the folder of a detector's run")
    config = load_detector_config(run)
    refuse_segmentation(run, config)
    refuse_folds(run)
    model, _ = load_detector_network(run)
    return TrainedDetector(**vars(read_record(run)), config=config, model=model)


def read_record(run: Path) -> Record:
    """Reads detector.json, of today's form or of the earlier one, whose preparation knew a maximum only.

    Raises:
        UserError: missing or damaged.
    """
    file = Path(run) / RECORD_FILE
    record = read_json(file, way_out="the run has not ended yet? continue it, which writes it again")
    try:
        given = record["input"]
        source = DetectorInput(
            preparation_from(given["preparation"]), given["size"], Enhancement(given["median"], given["clahe"])
        )
        return Record(tuple(record["classes"]), source, float(record["temperature"]), float(record["threshold"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file}: damaged; continue the run, which writes it again") from error


def write_record(run: Path, record: Record) -> None:
    """Writes detector.json."""
    source = record.source
    given = {"preparation": asdict(source.preparation), "size": source.size, **asdict(source.enhancement)}
    chosen = {"temperature": record.temperature, "threshold": record.threshold}
    replace_json(Path(run) / RECORD_FILE, {"classes": record.classes, **chosen, "input": given})


def refuse_segmentation(run: Path, config: DetectorConfig) -> None:
    """Raises `UserError` for a segmentation run where classes are wanted."""
    if config.task == "segment":
        raise UserError(
            f"{run}: a segmentation run, which names no class and so cannot be explained, averaged or evaluated; give "
            "a run of --task classify (this one outlines what it finds: --predict FOLDER)"
        )


def two_sided(logits: np.ndarray) -> np.ndarray:
    """``(n, classes)``: one logit of two classes becomes (0, logit), whose softmax is the sigmoid."""
    if logits.shape[1] > 1:
        return logits
    return np.concatenate([np.zeros_like(logits), logits], axis=1)
