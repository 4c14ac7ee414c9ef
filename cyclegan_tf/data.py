"""The two domains of a training run, from folders or from drawn phantoms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.cache import fill_cache
from common_tf.images.geometry import head_extent
from common_tf.images.head import head_mask
from common_tf.images.intensity import quantise, to_unit
from common_tf.images.phantom import Phantom, draw_phantom
from common_tf.images.pipeline import UnpairedPipeline
from common_tf.images.preparation import Preparation, learn_preparation, prepare
from common_tf.images.reading import ImageData, read_image
from common_tf.splits.manifest import ManifestRow
from common_tf.splits.unpaired import load_unpaired
from cyclegan_tf.config import TranslatorConfig

_PHANTOM_VALIDATION = 64
_PHANTOM_TEST = 48


@dataclass(frozen=True)
class Domain:
    """One domain.

    Attributes:
        name: such as ``CT``.
        training, validation: loaders of its slices, decoded on call.
        preparation: learned from the training slices.
    """

    name: str
    training: Sequence[Callable[[], ImageData]]
    validation: Sequence[Callable[[], ImageData]]
    preparation: Preparation

    def squares(self, loaders: Sequence[Callable[[], ImageData]], size: int) -> np.ndarray:
        """Prepared slices, ``(n, size, size)`` float32 in [0, 1]."""
        return np.stack([self._square(loader, size) for loader in loaders])

    def cache(self, size: int, *, limit_mb: int, file: Path) -> np.ndarray:
        """The prepared training slices; see `fill_cache`."""
        return fill_cache(
            lambda index: self._square(self.training[index], size),
            count=len(self.training),
            size=size,
            deep=self.preparation.maximum > 255,
            limit_mb=limit_mb,
            file=file,
        )

    def _square(self, loader: Callable[[], ImageData], size: int) -> np.ndarray:
        image = loader()
        return prepare(image.pixels, self.preparation, bits=image.bits, size=size).pixels


@dataclass(frozen=True)
class TrainingData:
    """Both domains and what is to be said of them.

    Attributes:
        a, b: the domains.
        rows: the manifest.
        findings: the audit; empty for phantoms.
        counts: images by domain and split.
    """

    a: Domain
    b: Domain
    rows: Sequence[ManifestRow]
    findings: Sequence
    counts: Mapping[str, Mapping[str, int]]

    def pipeline(self, config: TranslatorConfig, folder: Path) -> UnpairedPipeline:
        """The training batches; large caches go to files in the run folder."""
        load_size = int(round(config.image_size * config.jitter))
        caches = {
            letter: domain.cache(load_size, limit_mb=config.cache_limit_mb, file=folder / "cache" / f"{letter}.npy")
            for letter, domain in (("a", self.a), ("b", self.b))
        }
        return UnpairedPipeline(
            caches=caches,
            image_size=config.image_size,
            batch_size=config.batch_size,
            channels=config.channels,
            flip=config.flip,
            epoch_length=config.epoch_length,
            seed=config.seed,
        )


def load_training_data(config: TranslatorConfig) -> TrainingData:
    """Loads what ``--data`` names.

    Raises:
        UserError: see `common_tf.splits.unpaired.load_unpaired`.
    """
    if config.data == "phantom":
        return _phantoms(config)
    if not Path(config.data).is_dir():
        raise UserError(f"--data {config.data}: no such folder; give one with trainA/ and trainB/, or phantom")
    return _folders(config)


def _folders(config: TranslatorConfig) -> TrainingData:
    files = load_unpaired(
        Path(config.data),
        domains=config.domain_names,
        split=config.split,
        bad_files=config.bad_files,
        seed=config.seed,
    )
    domains = []
    for name in config.domain_names:
        training = files.select(name, "train")
        preparation = learn_preparation(
            framing=config.framing,
            extents=[file.extent for file in training],
            bits=max(file.bits for file in training),
            largest=max(file.largest for file in training),
        )
        loaders = [
            [lambda path=file.path: read_image(path) for file in group]
            for group in (training, files.select(name, "validation"))
        ]
        domains.append(Domain(name, loaders[0], loaders[1], preparation))
    return TrainingData(*domains, rows=files.rows, findings=files.findings, counts=files.counts(config.domain_names))


def _phantoms(config: TranslatorConfig) -> TrainingData:
    """Unpaired phantoms: no head is drawn in both domains, and none of the test's is seen in training."""
    size, count = config.image_size, config.phantoms
    first = _first_phantom(config)
    domains, rows = [], []
    for number, name in enumerate(config.domain_names):
        start = first + number * (count + _PHANTOM_VALIDATION)
        ranges = {"train": range(start, start + count)}
        ranges["validation"] = range(start + count, start + count + _PHANTOM_VALIDATION)
        loaders = {split: [_PhantomLoader(seed, size, number) for seed in seeds] for split, seeds in ranges.items()}
        extents = [head_extent(head_mask(to_unit(load().pixels, maximum=255))) for load in loaders["train"][:50]]
        preparation = learn_preparation(framing=config.framing, extents=extents, bits=8, largest=255)
        domains.append(Domain(name, loaders["train"], loaders["validation"], preparation))
        for split, seeds in ranges.items():
            rows += [
                ManifestRow(f"phantom/{seed}", name, "", "", f"{seed:08d}", split, split, "drawn") for seed in seeds
            ]
    counts = {
        name: {"train": count, "validation": _PHANTOM_VALIDATION, "test": _PHANTOM_TEST} for name in config.domain_names
    }
    return TrainingData(*domains, rows=rows, findings=(), counts=counts)


def held_out_phantoms(config: TranslatorConfig) -> list:
    """Aligned phantoms that no training of this config sees."""
    first = _first_phantom(config) + 2 * (config.phantoms + _PHANTOM_VALIDATION)
    return [draw_phantom(seed, size=config.image_size) for seed in range(first, first + _PHANTOM_TEST)]


def training_phantoms(config: TranslatorConfig) -> list:
    """The aligned phantoms behind domain A's training slices; only floors may use both of their sides."""
    first = _first_phantom(config)
    return [draw_phantom(seed, size=config.image_size) for seed in range(first, first + config.phantoms)]


def phantom_side(phantom: Phantom, number: int) -> np.ndarray:
    """The image of a phantom in domain 0 (CT) or 1 (MRI), in [0, 1]."""
    return (phantom.ct, phantom.mri)[number]


@dataclass(frozen=True)
class _PhantomLoader:
    seed: int
    size: int
    number: int

    def __call__(self) -> ImageData:
        unit = phantom_side(draw_phantom(self.seed, size=self.size), self.number)
        return ImageData(pixels=quantise(unit), bits=8, mode="L", format="drawn")


def _first_phantom(config: TranslatorConfig) -> int:
    return config.seed * 1_000_000
