"""The two domains of a training run, from folders, from aligned pairs, or from drawn phantoms."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Mapping, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.cache import fill_cache
from common_tf.images.geometry import head_extent
from common_tf.images.head import head_mask
from common_tf.images.intensity import quantise, to_unit
from common_tf.images.pairs import pair_folder, read_pairs
from common_tf.images.phantom import Phantom, draw_phantom, weak_field
from common_tf.images.pipeline import DomainPipeline
from common_tf.images.preparation import Preparation, learn_preparation, prepare
from common_tf.images.reading import ImageData, image_paths, read_image
from common_tf.splits.manifest import ManifestRow
from common_tf.splits.unpaired import load_unpaired
from cyclegan_tf.config import TranslatorConfig

_PHANTOM_VALIDATION = 64
_PHANTOM_TEST = 48
_VALIDATION_SHARE = 0.15


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
        return prepare(image.pixels, self.preparation, bits=image.bits, size=size, mask=image.head).pixels


@dataclass(frozen=True)
class TrainingData:
    """Both domains and what is to be said of them.

    Attributes:
        a, b: the domains.
        rows: the manifest.
        findings: the audit; empty for phantoms.
        counts: images by domain and split.
        aligned: image ``i`` of one domain belongs to image ``i`` of the other, in training and validation.
        paired: the training uses that.
    """

    a: Domain
    b: Domain
    rows: Sequence[ManifestRow]
    findings: Sequence
    counts: Mapping[str, Mapping[str, int]]
    aligned: bool = False
    paired: bool = False

    def pipeline(self, config: TranslatorConfig, folder: Path) -> DomainPipeline:
        """The training batches; large caches go to files in the run folder."""
        load_size = int(round(config.image_size * config.jitter))
        caches = {
            letter: domain.cache(load_size, limit_mb=config.cache_limit_mb, file=folder / "cache" / f"{letter}.npy")
            for letter, domain in (("a", self.a), ("b", self.b))
        }
        return DomainPipeline(
            caches=caches,
            image_size=config.image_size,
            batch_size=config.batch_size,
            channels=config.channels,
            flip=config.flip,
            epoch_length=config.epoch_length,
            seed=config.seed,
            paired=self.paired,
        )


def load_training_data(config: TranslatorConfig, *, paired: bool = False) -> TrainingData:
    """Loads what ``--data`` names.

    Args:
        config: of the run.
        paired: the system learns from aligned pairs. Others may be given them too, and see them unpaired.

    Raises:
        UserError: see `common_tf.splits.unpaired.load_unpaired` and `common_tf.images.pairs.read_pairs`; or unpaired
            data for a system that wants pairs.
    """
    if config.data == "phantom":
        return _phantoms(config, paired)
    folder = Path(config.data)
    if not folder.is_dir():
        raise UserError(f"--data {config.data}: no such folder; give one with trainA/ and trainB/, or phantom")
    unpaired = (folder / "trainA").is_dir() or (folder / "trainB").is_dir()
    if paired and unpaired:
        raise UserError(
            f"--data {config.data}: trainA/ and trainB/ are unpaired, and --model {config.model} learns from aligned "
            "pairs; give strips or two folders with the same file names (docs/systems.md), or take --model cyclegan"
        )
    if not unpaired and (paired or _holds_pairs(folder, config)):
        return _pairs(config, folder, paired)
    return _folders(config)


def _holds_pairs(folder: Path, config: TranslatorConfig) -> bool:
    training = pair_folder(folder, "train") or folder
    folders = all((training / name).is_dir() for name in config.domain_names)
    return folders or all((training / name).is_dir() for name in "AB") or bool(image_paths(training))


def _pairs(config: TranslatorConfig, folder: Path, paired: bool) -> TrainingData:
    """Aligned pairs; whole patients go to validation, and to the test where there is no test folder."""
    training = pair_folder(folder, "train") or folder
    pairs = read_pairs(training, domains=config.domain_names, order=config.pair_order)
    splits = np.array(["train"] * len(pairs.names), dtype=object)
    groups = np.random.default_rng([config.seed, 5]).permutation(np.unique(pairs.groups))
    spare = max(1, round(_VALIDATION_SHARE * len(groups)))
    has_test = training.name == "train" and (training.parent / "test").is_dir()
    if len(groups) < (2 if has_test else 3):
        raise UserError(
            f"{training}: pairs of {len(groups)} {pairs.group_word}; training, validation"
            + ("" if has_test else " and test")
            + " want one each at least"
        )
    splits[np.isin(pairs.groups, groups[:spare])] = "validation"
    if not has_test:
        splits[np.isin(pairs.groups, groups[spare : 2 * spare])] = "test"
    rows = [
        ManifestRow(name, domain, _digest(pairs.images[domain][i]), "", str(pairs.groups[i]), "train", side)
        for domain in config.domain_names
        for i, (name, side) in enumerate(zip(pairs.names, splits))
    ]
    domains = []
    for name in config.domain_names:
        images, extents = pairs.images[name], [head_extent(mask) for mask in pairs.mask[splits == "train"]]
        loaders = [
            [
                lambda i=i, images=images: ImageData(images[i], bits=8, mode="L", format="PNG", head=pairs.mask[i])
                for i in np.flatnonzero(splits == side)
            ]
            for side in ("train", "validation")
        ]
        preparation = learn_preparation(framing=config.framing, extents=extents, bits=8, largest=255)
        domains.append(Domain(name, loaders[0], loaders[1], preparation))
    counts = {side: int(np.sum(splits == side)) for side in ("train", "validation", "test")}
    return TrainingData(
        *domains, rows=rows, findings=(), counts=dict.fromkeys(config.domain_names, counts), aligned=True, paired=paired
    )


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


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


def _phantoms(config: TranslatorConfig, paired: bool) -> TrainingData:
    """Drawn heads. Unpaired, no head is drawn in both domains; paired, every one is. None of the test's is seen."""
    size, count = config.image_size, config.phantoms
    first = _first_phantom(config)
    domains, rows = [], []
    for number, name in enumerate(config.domain_names):
        start = first + (0 if paired else number * (count + _PHANTOM_VALIDATION))
        ranges = {"train": range(start, start + count)}
        ranges["validation"] = range(start + count, start + count + _PHANTOM_VALIDATION)
        loaders = {
            split: [_PhantomLoader(seed, size, number, config.phantom_pair, paired) for seed in seeds]
            for split, seeds in ranges.items()
        }
        extents = [_drawn_extent(load()) for load in loaders["train"][:50]]
        preparation = learn_preparation(framing=config.framing, extents=extents, bits=8, largest=255)
        domains.append(Domain(name, loaders["train"], loaders["validation"], preparation))
        for split, seeds in ranges.items():
            rows += [
                ManifestRow(f"phantom/{seed}", name, "", "", f"{seed:08d}", split, split, "drawn") for seed in seeds
            ]
    counts = {
        name: {"train": count, "validation": _PHANTOM_VALIDATION, "test": _PHANTOM_TEST} for name in config.domain_names
    }
    return TrainingData(*domains, rows=rows, findings=(), counts=counts, aligned=paired, paired=paired)


def _drawn_extent(image: ImageData) -> float:
    # Where the head is given, both sides of a pair must be framed by it, or one comes out larger than the other.
    return head_extent(head_mask(to_unit(image.pixels, maximum=255)) if image.head is None else image.head)


def held_out_phantoms(config: TranslatorConfig) -> list:
    """Aligned phantoms that no training of this config sees."""
    first = _first_phantom(config) + 2 * (config.phantoms + _PHANTOM_VALIDATION)
    return [draw_phantom(seed, size=config.image_size) for seed in range(first, first + _PHANTOM_TEST)]


def training_phantoms(config: TranslatorConfig) -> list:
    """The aligned phantoms behind domain A's training slices; only floors may use both of their sides."""
    first = _first_phantom(config)
    return [draw_phantom(seed, size=config.image_size) for seed in range(first, first + config.phantoms)]


def phantom_side(phantom: Phantom, number: int, pair: str) -> np.ndarray:
    """The image of a phantom in domain 0 or 1, in [0, 1].

    Args:
        phantom: the head.
        number: 0 for domain A, 1 for domain B.
        pair: ``ct-mri``, or ``field-strength``: MRI at 1.5 T and at 3 T.
    """
    if pair == "field-strength":
        return (weak_field(phantom.mri), phantom.mri)[number]
    return (phantom.ct, phantom.mri)[number]


@dataclass(frozen=True)
class _PhantomLoader:
    seed: int
    size: int
    number: int
    pair: str
    aligned: bool

    def __call__(self) -> ImageData:
        phantom = draw_phantom(self.seed, size=self.size)
        unit = phantom_side(phantom, self.number, self.pair)
        head = phantom.head if self.aligned else None  # both sides of a pair want one frame
        return ImageData(pixels=quantise(unit), bits=8, mode="L", format="drawn", head=head)


def _first_phantom(config: TranslatorConfig) -> int:
    return config.seed * 1_000_000
