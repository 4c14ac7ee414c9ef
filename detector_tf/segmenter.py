"""Using a trained segmenter on slices of any size."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.pictures.geometry import put_back
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import PREPARATION_FILE, Preparation, load_preparations
from common_tf.pictures.readers import FileFacts
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.config import DetectorConfig, load_detector_config
from detector_tf.folds import refuse_folds
from detector_tf.preprocessing import DetectorInput
from detector_tf.sections import SLICE
from detector_tf.trainable import batched_logits


@dataclass(frozen=True)
class TrainedSegmenter:
    """A run, ready to mark lesions.

    Attributes:
        config: of the run.
        source: from a channel of a slice to its square.
        model: from squares in [-1, 1] to logits ``(n, size, size, 1)``; above 0 is lesion.
    """

    config: DetectorConfig
    source: DetectorInput
    model: tf.keras.Model

    def for_files(
        self, facts: Mapping[str, FileFacts], *, window: tuple[float, float] | None = None
    ) -> "TrainedSegmenter":
        """The segmenter for a set of files; see `detector_tf.inference.TrainedDetector.for_files`."""
        return self.prepared_by(self.source.preparation.for_files(facts, name=SLICE, window=window))

    def prepared_by(self, preparation: Preparation) -> "TrainedSegmenter":
        """The segmenter for slices that are prepared in another way, such as those of a volume."""
        return replace(self, source=replace(self.source, preparation=preparation))

    def masks(self, slices: Sequence[Sequence[Picture]]) -> list[np.ndarray]:
        """Where lesions are: of each slice ``(height, width)`` bool, of its own size.

        Args:
            slices: the channels of each, one or as many as the run has; a single one is repeated.
        """
        prepared = [[self.source.prepared(picture) for picture in channels] for channels in slices]
        wanted = self.model.input.shape[-1]
        squares = np.stack([np.stack([pixels for pixels, _ in channels], axis=-1) for channels in prepared])
        if squares.shape[-1] != wanted:
            squares = np.repeat(squares, wanted, axis=-1)
        logits = batched_logits(lambda batch: self.model(batch, training=False), squares, side=squares.shape[1])
        chances = 1 / (1 + np.exp(-np.clip(logits[..., 0], -50, 50)))
        # Outside the square nothing was looked at, so nothing is marked.
        return [put_back(chance, channels[0][1].frame, fill=0.0) > 0.5 for chance, channels in zip(chances, prepared)]


def load_segmenter(run: Path) -> TrainedSegmenter:
    """Loads a finished run of ``--task segment``, or a fold of one.

    Raises:
        UserError: no such run, a cross-validation as a whole, or damaged files.
    """
    run = Path(run)
    config = load_detector_config(run)
    if config.task != "segment":
        raise UserError(f"{run}: a run of --task {config.task}, which marks no lesions")
    refuse_folds(run)
    model, spec = load_detector_network(run)
    file = run / PREPARATION_FILE
    preparation = load_preparations(file).get(SLICE)
    if preparation is None:
        raise UserError(f"{file}: damaged; continue the run, which writes it again")
    return TrainedSegmenter(config, DetectorInput(preparation, spec.side), model)
