"""Both domains of a training on whole volumes: their slices are scanned and split as ever, and cubes are trained on."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from common_tf.errors import UserError
from common_tf.sources.blocks import StoredBlock, VolumeOfCases, stored_blocks
from common_tf.sources.cube_pipeline import CubePipeline
from common_tf.sources.source import listed
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import Domain, TrainingData, load_training_data, spread
from cyclegan_tf.sliding_window import cube_starts
from cyclegan_tf.translator import Translator

_SLICE_STEP = 8
"""Of a cube's slices one in so many is looked at: neighbours are alike."""
_LEAST_HEAD = 0.1
"""Share of a cube that is head where it serves validation; less where voxels are so large that no cube has it."""


@dataclass(frozen=True)
class Cubes:
    """Cubes of volumes, as `common_tf.sources.cache.PreparedSlices` are squares.

    Attributes:
        places: block and corner of each.
        side: of the cubes.
    """

    places: Sequence[tuple[StoredBlock, tuple[int, ...]]]
    side: int

    def scaled(self) -> np.ndarray:
        """Pixels as float32 in [0, 1], ``(n, side, side, side)``."""
        return np.stack([block.cube(corner, self.side)[0] for block, corner in self.places])

    @property
    def masks(self) -> np.ndarray:
        """The head, bool of the same shape."""
        return np.stack([block.cube(corner, self.side)[1] for block, corner in self.places])


@dataclass(frozen=True)
class VolumeTrainingData(TrainingData):
    """`TrainingData` whose images are cubes."""

    def lines(self, config: TranslatorConfig) -> list[str]:
        first, *others = super().lines(config)
        return [first, *self._counts(config), *others]

    def _counts(self, config: TranslatorConfig) -> list[str]:
        """How many whole volumes are on each side of the split, and which lie on none."""
        lines = []
        for name in config.data.domain_names:
            sides = {split: self._volumes(name, split) for split in ("train", "validation", "test")}
            lines.append(f"{name}, volumes: " + ", ".join(f"{len(found)} {split}" for split, found in sides.items()))
            whole = {one.name for found in sides.values() for one in found}
            rest = sorted(set(self._slices(name)) - whole)
            if rest:
                lines.append(
                    f"{name}: not trained on, as slices of them are on several sides or left out: {listed(rest)}"
                )
        return lines

    def slices_in(self, images: np.ndarray) -> np.ndarray:
        """Every eighth slice of cubes: neighbours are alike."""
        return images[:, min(_SLICE_STEP, images.shape[1]) // 2 :: _SLICE_STEP].reshape(-1, *images.shape[2:])

    def middle_of(self, images: np.ndarray) -> np.ndarray:
        return images[:, images.shape[1] // 2]

    def some(self, domain: Domain, split: str, most: int, config: TranslatorConfig) -> Cubes:
        side = config.data.image_size
        every = [
            (block, corner)
            for block in self._blocks(domain, split, config)
            for corner in itertools.product(*(cube_starts(length, side, 0.0) for length in block.pixels.shape))
        ]
        shares = [block.cube(corner, side)[1].mean() for block, corner in every]
        least = min(_LEAST_HEAD, max(shares) / 2)
        places = [place for place, share in zip(every, shares) if share > least]
        return Cubes([places[index] for index in spread(len(places), most)], side)

    def pipeline(self, config: TranslatorConfig) -> CubePipeline:
        data = config.data
        return CubePipeline(
            blocks={letter: self._blocks(domain, "train", config) for letter, domain in (("a", self.a), ("b", self.b))},
            side=data.image_size,
            batch_size=config.optimisation.batch_size,
            channels=data.image_channels,
            flip=data.flip,
            epoch_length=data.epoch_length,
            cubes_per_volume=config.system.cubes_per_volume,
            seed=config.optimisation.seed,
        )

    def _blocks(self, domain: Domain, split: str, config: TranslatorConfig) -> list[StoredBlock]:
        return stored_blocks(
            self._volumes(domain.name, split),
            domain.name,
            voxel_mm=config.system.voxel_mm,
            side=config.data.image_size,
            framing=config.data.framing,
            folder=self.cache,
        )

    def _volumes(self, label: str, split: str) -> list[VolumeOfCases]:
        """The volumes of which every slice is on this side of the split."""
        return [
            VolumeOfCases(
                name, [self.dataset.cases[index] for index in mine], [self.dataset.scans[index] for index in mine]
            )
            for name, mine in sorted(self._slices(label).items())
            if {self.splits[index] for index in mine} == {split}
        ]

    def _slices(self, label: str) -> dict[str, list[int]]:
        """The cases of each volume of a domain."""
        found: dict[str, list[int]] = defaultdict(list)
        for index, case in enumerate(self.dataset.cases):
            if label in case.files:
                found[case.name.rpartition("#")[0]].append(index)
        return found


def load_data(config: TranslatorConfig, system: type[Translator] | Translator) -> TrainingData:
    """Loads what ``--data`` names, as a system wants it: slices, aligned slices, or whole volumes.

    Raises:
        UserError: data that cannot be trained on; pictures, or too few volumes, where whole volumes are wanted.
    """
    if system.is_volumetric:
        return _volume_data(config)
    return load_training_data(config, paired=system.wants_pairs)


def _volume_data(config: TranslatorConfig) -> VolumeTrainingData:
    options = config.data
    if options.is_drawn:
        raise UserError(
            f"--data {options.data}: --model {config.model} learns from volumes; python -m common_tf.volumes.phantom "
            "FOLDER draws some, then --data FOLDER"
        )
    base = load_training_data(config)
    data = VolumeTrainingData(**{field.name: getattr(base, field.name) for field in fields(base)})
    for name in options.domain_names:
        if any(case.volume is None for case in data.dataset.cases if name in case.files):
            raise UserError(
                f"--data {options.data}: holds pictures of {name}, and --model {config.model} learns from volumes; "
                "take --model cyclegan"
            )
        for split in ("train", "validation"):
            if not data._volumes(name, split):
                place = f", or put some into val{'AB'[options.domain_names.index(name)]}/" if split != "train" else ""
                raise UserError(
                    f"--data {options.data}: no whole volume of {name} for {split}; give more patients{place}"
                )
    return data
