"""Slices with their lesions: images beside masks, one folder a patient, or drawn heads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common_tf.cache_folder import cache_folder
from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.drawn import DRAWN, drawn_lesions
from common_tf.sources.segmentation import segmentation_source
from detector_tf.batches import Squares
from detector_tf.config import DetectorConfig
from detector_tf.preprocessing import Enhancement, eight_bits
from detector_tf.sections import SLICE
from detector_tf.tasks.task import TaskData, split_data


@dataclass(frozen=True)
class Slices:
    """Prepared slices of a run, for one fold.

    Attributes:
        preparation: of all channels alike, learned from the training slices only.
        images: the squares.
        lesions: ``(n, size, size)`` bool.
    """

    preparation: Preparation
    images: Squares
    lesions: np.ndarray

    def gray(self, chosen: np.ndarray) -> np.ndarray:
        """``(k, size, size)`` uint8, the middle channel: FLAIR, in TCGA LGG."""
        planes = self.images.planes
        return eight_bits(planes[len(planes) // 2].pixels[chosen])


def load_segmentation_data(config: DetectorConfig) -> TaskData:
    """Loads and splits what ``--data`` names.

    Raises:
        UserError: no slices beside masks, unusable files, too few patients or a manifest that cannot be read.
    """
    data = config.data
    if data.data == DRAWN:
        source = drawn_lesions(
            seed=config.optimisation.seed, count=data.phantoms, size=config.network.side, modality=data.modality,
            label=SLICE,
        )  # fmt: skip
    elif Path(data.data).is_dir():
        source = segmentation_source(Path(data.data), channels=data.channels, window=data.given_range)
    else:
        raise UserError(
            f"--data {data.data}: no such folder; give one with a folder of slices and masks for each patient, or "
            f"{DRAWN}"
        )
    dataset = open_dataset(source, bad_files=data.bad_files, exclude=data.exclude, cache=data.cache)
    return split_data(config, dataset, names=(SLICE,), labels=np.zeros(len(dataset.cases), int))


def prepare_slices(config: DetectorConfig, dataset: Dataset, preparation: Preparation) -> Slices:
    """The slices as a fold sees them, from its preparation."""
    planes = [
        prepared_slices(
            dataset.cases, dataset.scans, label, preparation, size=config.network.side,
            folder=cache_folder(config.data.cache), with_lesions=label == SLICE,
        )
        for label in dataset.cases[0].labels
    ]  # fmt: skip
    everything = np.arange(len(dataset.cases))
    lesions = planes[0].lesions
    assert lesions is not None
    return Slices(preparation, Squares(planes, config.data.channels, Enhancement(), everything), lesions)


def patients_of(data: TaskData) -> np.ndarray:
    """``(n,)`` names."""
    return np.array([case.patient for case in data.dataset.cases])


def with_a_lesion(lesions: np.ndarray, chosen: Sequence[int] | slice = slice(None)) -> np.ndarray:
    """``(k,)`` bool, which of the chosen slices have a lesion."""
    return lesions[chosen].any(axis=(1, 2))
