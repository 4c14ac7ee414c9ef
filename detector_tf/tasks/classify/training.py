"""Training a classifier: what a batch costs, and what chooses the best network."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.cache_folder import cache_folder
from common_tf.metrics.calibration import to_probabilities
from common_tf.metrics.classification import roc_auc
from common_tf.sources.cache import prepared_slices
from detector_tf.batches import Batches, Squares, images_in_a_step
from detector_tf.config import DetectorConfig
from detector_tf.inference import two_sided
from detector_tf.losses import classification_loss
from detector_tf.predictions import counted_groups
from detector_tf.preprocessing import DetectorInput, Enhancement
from detector_tf.sections import SLICE
from detector_tf.splits import TEST, TRAIN, VALIDATION, unleaked
from detector_tf.tasks.classify.data import as_slices, load_classification_data
from detector_tf.tasks.classify.judging import Judged, conclude_fold, judge_run
from detector_tf.tasks.task import preparations_of
from detector_tf.trainable import Predict

CROSS_ENTROPY_SHARE = 0.2


class Classification:
    """A `detector_tf.tasks.task.Task`.

    Attributes:
        data, figure, classes: see there.
        slices: of the data, whatever their class.
        preparations: how they become squares, of each fold.
    """

    figure = (
        f"1 - ROC-AUC (mean over the classes) + {CROSS_ENTROPY_SHARE:g} x cross-entropy on the validation images; "
        "lower is better. On thirty images the area alone is often lucky early in a training"
    )

    def __init__(self, config: DetectorConfig):
        self.config = config
        self.data = load_classification_data(config)
        self.classes = len(self.data.names)
        self.slices = as_slices(self.data.dataset)
        self.preparations = preparations_of(config, self.slices, self.data.splits)
        self.data = self.data.with_contrast(self.slices, self.preparations[0])

    def say(self) -> None:
        """Prints the counts and the audit."""
        data, folds = self.data, self.config.data.folds
        groups = counted_groups(len(set(data.dataset.groups.tolist())), data.dataset.group_word)
        print(f"data: {self.config.data.data}, {len(data.labels)} images, {groups}")
        for name, counts in data.counts()[0].items():
            label = f"  {name:12}" + ", ".join(f"{count} {split}" for split, count in counts.items())
            print(label + (f" (fold 1 of {folds})" if folds else ""))
        data.say_audit()
        test = data.splits[0] == TEST
        if self.config.data.split == "as-given":
            clean = unleaked(data.splits[0], data.dataset.groups)
            print(f"test: {test.sum()} images as given, {clean.sum()} without a near-duplicate in training", flush=True)

    def fold(self, number: int) -> "ClassificationFold":
        """One of the trainings."""
        return ClassificationFold(self, number)

    def judge(self, run: Path, concluded: Sequence[Judged]) -> None:
        """Pools the folds of a cross-validation, and prints the table of the run."""
        judge_run(run, concluded)


class ClassificationFold:
    """A `detector_tf.tasks.task.Fold`.

    Attributes:
        source: from pictures to squares, learned from the training images only.
        images: all of the run.
        batches: see `Fold`.
    """

    def __init__(self, task: Classification, number: int):
        config, data = task.config, task.data
        self.task, self.number, self.split = task, number, data.splits[number]
        enhancement = Enhancement(config.data.median, config.data.clahe)
        self.source = DetectorInput(task.preparations[number], config.network.side, enhancement)
        prepared = prepared_slices(
            task.slices.cases, task.slices.scans, SLICE, self.source.preparation, size=self.source.size,
            folder=cache_folder(config.data.cache),
        )  # fmt: skip
        training = np.flatnonzero(self.split == TRAIN)
        everything = np.arange(len(data.labels))
        self.images = Squares([prepared], config.data.channels, enhancement, everything)
        batch_size = images_in_a_step(config.optimisation.batch_size, training=len(training))
        self.batches = Batches(self.images, {"labels": data.labels}, training, batch_size, config.optimisation.seed)
        self._weights = tf.constant(_class_weights(config, data.labels[training], task.classes), tf.float32)
        self._smoothing = config.optimisation.label_smoothing

    def loss(self, logits: tf.Tensor, truth: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Weighted cross-entropy, and the accuracy."""
        loss, accuracy = classification_loss(
            logits, truth["labels"], classes=self.task.classes, class_weights=self._weights,
            label_smoothing=self._smoothing,
        )  # fmt: skip
        return loss, {"accuracy": accuracy}

    def figures(self, predict: Predict) -> Mapping[str, float]:
        """`Classification.figure` on the validation images."""
        chosen = self.split == VALIDATION
        probabilities = to_probabilities(two_sided(predict(self.images.only(chosen))))
        return validation_figures(self.task.data.labels[chosen], probabilities)

    def conclude(self, path: Path) -> Judged:
        """Predicts and judges, and writes what a run leaves."""
        return conclude_fold(path, self.task.data, self.split, self.number, self.source, self.images)


def validation_figures(truth: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """What chooses the best checkpoint: `Classification.figure` as ``score``, and its parts."""
    chosen = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [roc_auc(truth == number, probabilities[:, number]) for number in chosen]
    area = float(np.nanmean(areas)) if np.isfinite(areas).any() else 0.5
    loss = float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-7)).mean())
    return {"score": 1 - area + CROSS_ENTROPY_SHARE * loss, "roc_auc": area, "cross_entropy": loss}


def _class_weights(config: DetectorConfig, labels: np.ndarray, classes: int) -> np.ndarray:
    """``n / (classes * n_c)``, or ones."""
    counts = np.maximum(1, np.bincount(labels, minlength=classes))
    return len(labels) / (classes * counts) if config.optimisation.class_weights else np.ones(classes)
