"""The images of a detector's run: read, grouped, split and cached."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.cache import fill_cache
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.images.preparation import Preparation, learn_preparation
from common_tf.images.reading import ImageData, read_image
from common_tf.splits.audit import Finding
from common_tf.splits.labelled import LabelledFiles, load_labelled
from common_tf.splits.manifest import ManifestRow
from detector_tf.config import DetectorConfig
from detector_tf.preprocessing import DetectorInput

PHANTOM_CLASSES = ("healthy", "lesion")
_CACHE_LIMIT_MB = 2048
# Far from the seeds that translators train on.
_FIRST_PHANTOM = 500_000


@dataclass(frozen=True)
class Images:
    """Labelled images that can be told apart.

    Attributes:
        names: path or name of each.
        labels: ``(n,)`` class numbers.
        groups: ``(n,)`` near-duplicate groups.
        given_test: ``(n,)`` bool, the file lies in a test folder.
        load: returns image ``i`` as `ImageData`.
    """

    names: Sequence[str]
    labels: np.ndarray
    groups: np.ndarray
    given_test: np.ndarray
    load: object


@dataclass(frozen=True)
class DetectorData:
    """What a run knows of its data.

    Attributes:
        classes: names in the order of the class numbers; with two the second is the positive one.
        images: all usable ones.
        rows: manifest rows of the images, in their order; ``split`` is still to be filled in.
        skipped: manifest rows of files that are left out.
        findings: the audit.
        extents, bits, largest: of each image, for `learn_preparation`.
    """

    classes: Sequence[str]
    images: Images
    rows: Sequence[ManifestRow]
    skipped: Sequence[ManifestRow]
    findings: Sequence[Finding]
    extents: np.ndarray
    bits: np.ndarray
    largest: np.ndarray

    def preparation(self, config: DetectorConfig, training: np.ndarray) -> Preparation:
        """Learned from the training images only."""
        return learn_preparation(
            framing=config.framing,
            extents=self.extents[training],
            bits=int(self.bits[training].max()),
            largest=int(self.largest[training].max()),
        )

    def cache(self, preparation: DetectorInput, *, file: Path) -> np.ndarray:
        """All images as the network sees them, ``(n, size, size)`` uint8; decoded once."""
        return fill_cache(
            lambda index: preparation.square(self.images.load(index)),
            count=len(self.images.names),
            size=preparation.size,
            deep=False,
            limit_mb=_CACHE_LIMIT_MB,
            file=file,
        )


def load_detector_data(config: DetectorConfig) -> DetectorData:
    """Loads what ``--data`` names.

    Raises:
        UserError: no class folders, unusable files, too few images or a manifest that cannot be read.
    """
    if config.data == "phantom":
        return _phantoms(config)
    if not Path(config.data).is_dir():
        raise UserError(f"--data {config.data}: no such folder; give one with a folder for each class, or phantom")
    files = load_labelled(
        Path(config.data), bad_files=config.bad_files, positive=config.positive, exclude=config.exclude
    )
    return _from_files(files)


def _from_files(files: LabelledFiles) -> DetectorData:
    scanned = files.files
    order = {name: number for number, name in enumerate(files.classes)}
    images = Images(
        names=[row.path for row in files.rows],
        labels=np.array([order[file.label] for file in scanned]),
        groups=np.asarray(files.groups),
        given_test=np.array([file.given_split == "test" for file in scanned]),
        load=lambda index: read_image(scanned[index].path),
    )
    return DetectorData(
        classes=files.classes,
        images=images,
        rows=files.rows,
        skipped=files.skipped,
        findings=files.findings,
        extents=np.array([file.extent for file in scanned]),
        bits=np.array([file.bits for file in scanned]),
        largest=np.array([file.largest for file in scanned]),
    )


def _phantoms(config: DetectorConfig) -> DetectorData:
    """Drawn heads, half of them with a lesion; each is its own group."""
    first = config.seed * 1_000_000 + _FIRST_PHANTOM
    seeds = range(first, first + config.phantoms)

    def load(index: int) -> ImageData:
        phantom = draw_phantom(seeds[index], size=config.side, lesion_probability=float(index % 2))
        unit = phantom.ct if config.modality == "CT" else phantom.mri
        return ImageData(pixels=quantise(unit), bits=8, mode="L", format="drawn")

    labels = np.arange(config.phantoms) % 2
    rows = [
        ManifestRow(f"phantom/{seed}", PHANTOM_CLASSES[label], "", "", f"{seed:08d}", "", "", "drawn")
        for seed, label in zip(seeds, labels)
    ]
    images = Images(
        names=[row.path for row in rows],
        labels=labels,
        groups=np.arange(config.phantoms),
        given_test=np.zeros(config.phantoms, bool),
        load=load,
    )
    everything = np.ones(config.phantoms)
    return DetectorData(
        classes=PHANTOM_CLASSES,
        images=images,
        rows=rows,
        skipped=(),
        findings=(),
        extents=0.9 * everything,
        bits=8 * everything.astype(int),
        largest=255 * everything.astype(int),
    )


def split_counts(data: DetectorData, splits: Mapping[str, np.ndarray]) -> dict:
    """Images of each class in each split, for the terminal."""
    return {
        name: {split: int(np.sum(data.images.labels[chosen] == number)) for split, chosen in splits.items()}
        for number, name in enumerate(data.classes)
    }
