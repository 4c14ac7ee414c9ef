"""Training a segmenter: what a batch costs, and what chooses the best network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.pictures.preparation import PREPARATION_FILE, save_preparations
from detector_tf.batches import Batches, images_in_a_step
from detector_tf.config import DetectorConfig
from detector_tf.losses import segmentation_loss
from detector_tf.sections import SLICE
from detector_tf.splits import TRAIN, VALIDATION
from detector_tf.tasks.segment.data import load_segmentation_data, patients_of, prepare_slices, with_a_lesion
from detector_tf.tasks.segment.judging import Segmented, judge_run, patient_dice, segment_test
from detector_tf.tasks.task import preparations_of
from detector_tf.trainable import Predict


class Segmentation:
    """A `detector_tf.tasks.task.Task`.

    Attributes:
        data, figure, classes: see there.
        preparations: how slices become squares, of each fold.
    """

    figure = "1 - mean Dice of the validation patients (all slices of a patient together); lower is better"
    classes = 2

    def __init__(self, config: DetectorConfig):
        self.config = config
        self.data = load_segmentation_data(config)
        self.preparations = preparations_of(config, self.data.dataset, self.data.splits)
        self.data = self.data.with_contrast(self.data.dataset, self.preparations[0])
        slices = prepare_slices(config, self.data.dataset, self.preparations[0])
        self._with_lesion = with_a_lesion(slices.lesions)
        for number, split in enumerate(self.data.splits):
            if not self._with_lesion[split == TRAIN].any():
                where = f" of fold {number + 1}" if config.data.folds else ""
                raise UserError(
                    f"--data {config.data.data}: no lesion in any training slice{where}; there is nothing to learn"
                )

    def say(self) -> None:
        """Prints the counts and the audit."""
        patients = len(set(patients_of(self.data).tolist()))
        found = f"{len(self._with_lesion)} slices of {patients} patients, {self._with_lesion.sum()} with a lesion"
        print(f"data: {self.config.data.data}, {found}")
        self.data.say_audit()

    def fold(self, number: int) -> "SegmentationFold":
        """One of the trainings."""
        return SegmentationFold(self, number)

    def judge(self, run: Path, concluded: Sequence[Segmented]) -> None:
        """Writes metrics.json and segmentation.png of the run, and prints the table."""
        judge_run(run, self.data, concluded)


class SegmentationFold:
    """A `detector_tf.tasks.task.Fold`.

    Attributes:
        slices: all of the run.
        batches: see `Fold`. Slices with a lesion are seen about as often as those without.
    """

    def __init__(self, task: Segmentation, number: int):
        config = task.config
        self.task, self.split = task, task.data.splits[number]
        self.slices = prepare_slices(config, task.data.dataset, task.preparations[number])
        chosen = np.flatnonzero(self.split == TRAIN)
        positive = with_a_lesion(self.slices.lesions, chosen.tolist())
        repeats = max(1, round((~positive).sum() / max(1, positive.sum())))
        chosen = np.concatenate([chosen[~positive], np.repeat(chosen[positive], repeats)])
        batch_size = images_in_a_step(config.optimisation.batch_size, training=len(chosen))
        self.batches = Batches(
            self.slices.images, {"masks": self.slices.lesions}, chosen, batch_size, config.optimisation.seed
        )

    def loss(self, logits: tf.Tensor, truth: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Cross-entropy and Dice."""
        loss, dice = segmentation_loss(logits, truth["masks"])
        return loss, {"dice": dice}

    def figures(self, predict: Predict) -> Mapping[str, float]:
        """`Segmentation.figure` on the validation slices."""
        chosen = np.flatnonzero(self.split == VALIDATION)
        predicted = predict(self.slices.images.only(chosen))[..., 0] > 0
        values = patient_dice(predicted, self.slices.lesions[chosen], patients_of(self.task.data)[chosen])
        mean = float(np.mean(list(values.values())))
        return {"score": 1 - mean, "dice": mean}

    def conclude(self, path: Path) -> Segmented:
        """The lesions that the saved network finds in the test slices."""
        save_preparations(path / PREPARATION_FILE, {SLICE: self.slices.preparation})
        return segment_test(path, self.slices, self.split)
