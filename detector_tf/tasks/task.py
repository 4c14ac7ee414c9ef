"""What every task offers to the training, and the data of one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from common_tf.pictures.preparation import Preparation
from common_tf.sources.dataset import Dataset
from common_tf.sources.started import FLAG, without_seen
from common_tf.splits.finding import Finding, audit_lines, sorted_findings
from common_tf.splits.manifest import MANIFEST_FILE, ManifestRow
from detector_tf.batches import Batches
from detector_tf.config import DetectorConfig
from detector_tf.folds import fold_name, refuse_folds
from detector_tf.sections import SLICE
from detector_tf.splits import TEST, TRAIN, Grouped, make_splits
from detector_tf.trainable import Predict


@dataclass(frozen=True)
class TaskData:
    """A dataset and its splits.

    Attributes:
        dataset: of the run.
        names: of the classes, by class number; a segmentation has one.
        labels: ``(n,)`` class numbers.
        splits: for each fold ``(n,)``: train, validation, test or unused.
        sides: of each case in the run's manifest: its split, or the fold that tests it.
        findings: the audit.
    """

    dataset: Dataset
    names: Sequence[str]
    labels: np.ndarray
    splits: Sequence[np.ndarray]
    sides: Sequence[str]
    findings: Sequence[Finding]

    def rows(self, number: int | None = None) -> list[ManifestRow]:
        """The manifest of the run, or of a fold."""
        return self.dataset.rows(self.sides if number is None else self.splits[number].tolist())

    def with_contrast(self, slices: Dataset, preparation: Preparation) -> "TaskData":
        """With what is to be said of the gray scale.

        Args:
            slices: the dataset with all its pictures under one label.
            preparation: of them.
        """
        found = slices.contrast(SLICE, preparation)
        return replace(self, findings=sorted_findings([*self.findings, *found]))

    def counts(self) -> list[dict[str, dict[str, int]]]:
        """For each fold how many images of each class stand in each split."""
        return [self.dataset.counts(split.tolist(), self.names) for split in self.splits]

    def say_audit(self) -> None:
        """Prints the audit; drawn heads have one only where something is wrong."""
        if not self.dataset.is_drawn or any(finding.severity != "note" for finding in self.findings):
            print("audit:")
            print("\n".join(audit_lines(self.findings)), flush=True)


def split_data(config: DetectorConfig, dataset: Dataset, *, names: Sequence[str], labels: np.ndarray) -> TaskData:
    """Splits a dataset.

    Raises:
        UserError: too few groups, or nothing left to test on.
    """
    given = [case.given_split for case in dataset.cases]
    images = Grouped(labels, dataset.groups, given, names, dataset.group_word)
    drawn = make_splits(images, config.data, seed=config.optimisation.seed)
    splits, findings = _without_seen(config, dataset, drawn)
    sides = splits[0].tolist()
    if config.data.folds:
        sides = [fold_name(int(number)) for number in np.argmax([split == TEST for split in drawn], axis=0)]
    audited = sorted_findings([*findings, *dataset.audited(sides)])
    return TaskData(dataset, names, labels, splits, sides, audited)


def _without_seen(
    config: DetectorConfig, dataset: Dataset, splits: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[Finding]]:
    start = Path(config.network.weights)
    if not start.is_dir():
        return list(splits), []
    refuse_folds(start, flag=f"{FLAG} ")
    way_out = (
        f"add --exclude {start / MANIFEST_FILE}, which leaves out all that it trained on, or start from another run"
    )
    return without_seen(start, dataset, splits, way_out=way_out)


def preparations_of(config: DetectorConfig, dataset: Dataset, splits: Sequence[np.ndarray]) -> list[Preparation]:
    """How slices become squares, for each fold learned from its training images only.

    Raises:
        UserError: gray values whose black cannot be known.
    """
    settings = config.data
    return [
        dataset.preparation(
            SLICE, np.flatnonzero(split == TRAIN).tolist(), framing=settings.framing, window=settings.given_range
        )
        for split in splits
    ]


class Fold(Protocol):
    """One training of a run: all of a hold-out, or a fold of a cross-validation."""

    @property
    def batches(self) -> Batches:
        """What is trained on."""

    def loss(self, logits: tf.Tensor, truth: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """See `detector_tf.trainable.Loss`."""

    def figures(self, predict: Predict) -> Mapping[str, float]:
        """Validation; the lowest ``score`` chooses the network that is saved."""

    def conclude(self, path: Path) -> Any:
        """Judges the saved network of the fold's folder on its test images, for `Task.judge`."""


class Task(Protocol):
    """What a run learns. Made from the config; refuses what cannot be trained before anything is written."""

    data: TaskData
    figure: str
    """What ``score`` is, in words."""
    classes: int
    """Of the network's output."""

    def say(self) -> None:
        """Prints what the data are."""

    def fold(self, number: int) -> Fold:
        """One of the trainings."""

    def judge(self, run: Path, concluded: Sequence[Any]) -> None:
        """Writes metrics.json of the run, and prints it."""
