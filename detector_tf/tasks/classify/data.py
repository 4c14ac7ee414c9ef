"""Labelled images: class folders, or drawn heads with and without a lesion."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.sources.classes import class_source, ordered_classes
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.drawn import DRAWN, drawn_classes
from common_tf.sources.source import Case, Loaded, Source
from detector_tf.config import DetectorConfig
from detector_tf.sections import SLICE
from detector_tf.tasks.task import TaskData, split_data

DRAWN_CLASSES = ("healthy", "lesion")
_FEWEST = 4


def load_classification_data(config: DetectorConfig) -> TaskData:
    """Loads and splits what ``--data`` names.

    Raises:
        UserError: no class folders, unusable files, too few images or a manifest that cannot be read.
    """
    data = config.data
    source = _source(config)
    names = sorted({label for case in source.cases for label in case.labels})
    classes = DRAWN_CLASSES if source.kind == "drawn" else ordered_classes(names, positive=data.positive)
    dataset = open_dataset(source, bad_files=data.bad_files, exclude=data.exclude, cache=data.cache)
    counts = Counter(case.labels[0] for case in dataset.cases)
    for name in classes:
        if counts[name] < _FEWEST:
            raise UserError(
                f"{data.data}: class {name} has {counts[name]} usable image(s); training wants at least {_FEWEST}"
            )
    labels = np.array([classes.index(case.labels[0]) for case in dataset.cases])
    return split_data(config, dataset, names=classes, labels=labels)


def as_slices(dataset: Dataset) -> Dataset:
    """The dataset with all its pictures under one label: how they become squares does not depend on their class."""
    scans = [[replace(scan, label=SLICE) for scan in mine] for mine in dataset.scans]
    return replace(dataset, cases=[_as_slice(case) for case in dataset.cases], scans=scans)


def _as_slice(case: Case) -> Case:
    (label,), path = case.labels, next(iter(case.paths.values()), None)

    def load() -> Loaded:
        loaded = case.load()
        return replace(loaded, pictures={SLICE: loaded.pictures[label]}, facts={SLICE: loaded.facts[label]})

    return replace(case, files={SLICE: case.files[label]}, paths={SLICE: path} if path else {}, load=load)


def _source(config: DetectorConfig) -> Source:
    data = config.data
    if data.data == DRAWN:
        return drawn_classes(
            seed=config.optimisation.seed, count=data.phantoms, size=config.network.side, modality=data.modality,
            classes=DRAWN_CLASSES,
        )  # fmt: skip
    if not Path(data.data).is_dir():
        raise UserError(f"--data {data.data}: no such folder; give one with a folder for each class, or {DRAWN}")
    return class_source(Path(data.data))
