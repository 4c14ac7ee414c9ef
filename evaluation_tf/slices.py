"""The slices that a translator is judged on, as the squares that its networks see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.head import head_mask
from common_tf.images.intensity import quantise
from common_tf.images.pairs import PairedPictures
from common_tf.images.preparation import prepare
from common_tf.images.reading import ImageData, image_paths, read_image
from common_tf.splits.groups import group_numbers, near_duplicate_pairs
from common_tf.splits.manifest import ManifestRow, read_manifest
from common_tf.splits.scanning import scan_files
from common_tf.splits.seen import seen_in_training
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import held_out_phantoms, phantom_side, training_phantoms
from cyclegan_tf.inference import TrainedTranslator
from evaluation_tf.cache import ArrayCache, content_hash, file_hash


@dataclass(frozen=True)
class Slices:
    """Test slices of one domain.

    Attributes:
        domain: its name.
        squares: ``(n, size, size)`` uint8, prepared as in training.
        masks: ``(n, size, size)`` bool, the head.
        names, groups: of each; near-duplicates share a group.
        training: ``(m, size, size)`` uint8, real slices of the training set, at most as many as are tested.
    """

    domain: str
    squares: np.ndarray
    masks: np.ndarray
    names: Sequence[str]
    groups: np.ndarray
    training: np.ndarray


@dataclass(frozen=True)
class TestSet:
    """Both domains, and what is to be said of how they were chosen.

    Attributes:
        slices: by domain name.
        origin: one sentence.
        warnings: anything that makes the figures worth less.
        phantoms: the aligned heads where the data are drawn; empty otherwise.
    """

    __test__ = False  # no test class, whatever pytest thinks of its name

    slices: Mapping[str, Slices]
    origin: str
    warnings: Sequence[str]
    phantoms: Sequence = ()


def load_test_set(translator: TrainedTranslator, run: Path, data: str, cache: ArrayCache) -> TestSet:
    """The test slices of both domains: those of the run's manifest, or of a folder that the run did not train on.

    Args:
        translator: of the run.
        run: its folder.
        data: ``phantom``, or a folder with testA/ and testB/.
        cache: of prepared slices.

    Raises:
        UserError: no such folder, or no slices left to test on.
    """
    if data == "phantom":
        return _phantoms(translator)
    folder, manifest = Path(data), Path(run) / "manifest.csv"
    if not folder.is_dir():
        raise UserError(f"--data {data}: no such folder; give one with testA/ and testB/, or phantom")
    if not manifest.exists():
        raise UserError(f"{manifest}: not found; without it nobody knows what the run has trained on")
    names = translator.config.domain_names
    own = {name: [row for row in read_manifest(manifest) if row.label == name] for name in names}
    test = {name: [row for row in rows if row.split == "test"] for name, rows in own.items()}
    if all(rows and all((folder / row.path).exists() for row in rows) for rows in test.values()):
        return _own(translator, folder, own, test, cache)
    return _foreign(translator, folder, manifest, cache)


def _own(translator, folder: Path, own: Mapping[str, Sequence[ManifestRow]], test: Mapping, cache) -> TestSet:
    slices = {}
    for name, rows in test.items():
        training = [row for row in own[name] if row.split == "train"]
        chosen = np.random.default_rng(0).permutation(len(training))[: len(rows)]
        slices[name] = _slices(
            translator,
            name,
            [folder / row.path for row in rows],
            groups=np.array([row.group for row in rows]),
            training=[folder / training[i].path for i in sorted(chosen)],
            cache=cache,
        )
    return TestSet(slices, "the test slices of the run's own manifest, whole near-duplicate groups", ())


def _foreign(translator, folder: Path, manifest: Path, cache: ArrayCache) -> TestSet:
    slices, warnings = {}, ["these are not the data that the run was trained on"]
    for letter, name in zip("AB", translator.config.domain_names):
        sides = [folder / f"{kind}{letter}" for kind in ("test", "train")]
        side = next((candidate for candidate in sides if candidate.is_dir()), None)
        if side is None:
            raise UserError(f"--data {folder}: neither the run's test files nor a folder test{letter} are in it")
        files = [file for file in scan_files(image_paths(side), label=name, given_split="test") if not file.problem]
        seen = seen_in_training(files, manifest, flag="--translator")
        if seen.any():
            warnings.append(f"{int(seen.sum())} of {len(files)} {name} slices are in the run's training; left out")
        kept = [file for file, drop in zip(files, seen) if not drop]
        if not kept:
            raise UserError(f"--data {folder}: no {name} slice in {side.name} that the run has not trained on")
        groups = group_numbers(len(kept), near_duplicate_pairs(kept))
        slices[name] = _slices(translator, name, [file.path for file in kept], groups=groups, training=[], cache=cache)
    return TestSet(slices, f"all usable slices of {folder.name} that the run has not seen", tuple(warnings))


def _slices(
    translator, domain: str, paths: Sequence[Path], *, groups: np.ndarray, training: Sequence[Path], cache: ArrayCache
) -> Slices:
    missing = [path for path in (*paths, *training) if not path.exists()]
    if missing:
        raise UserError(f"--data: {len(missing)} files of the run's manifest are not there ({missing[0]}, ...)")

    def prepared(files: Sequence[Path]) -> np.ndarray:
        size, preparation = translator.config.image_size, translator.preparations[domain]
        key = content_hash("prepared", size, preparation, *(file_hash(file) for file in files))
        pictures = (read_image(file) for file in files)
        return cache.arrays(key, lambda: {"squares": _squares(translator, domain, pictures)})["squares"]

    squares = prepared(paths)
    return Slices(
        domain=domain,
        squares=squares,
        masks=_masks(translator, squares),
        names=[path.name for path in paths],
        groups=groups,
        training=prepared(training),
    )


def _squares(translator: TrainedTranslator, domain: str, pictures: Iterable[ImageData]) -> np.ndarray:
    size, preparation = translator.config.image_size, translator.preparations[domain]
    squares = [quantise(prepare(p.pixels, preparation, bits=p.bits, size=size).pixels) for p in pictures]
    return np.stack(squares) if squares else np.zeros((0, size, size), np.uint8)


def _masks(translator: TrainedTranslator, squares: np.ndarray) -> np.ndarray:
    if translator.config.framing == "head":
        return squares > 0  # preparation keeps 0 for what is outside
    return np.stack([head_mask(square / 255.0) for square in squares])


def _phantoms(translator: TrainedTranslator) -> TestSet:
    config = translator.config
    heads, training = held_out_phantoms(config), training_phantoms(config)
    slices = {}
    for number, name in enumerate(config.domain_names):
        squares = _squares(
            translator, name, [drawn_picture(phantom_side(head, number, config.phantom_pair)) for head in heads]
        )
        # Domain B never saw these heads in training, but they are of the same kind: a floor may use them.
        real = [drawn_picture(phantom_side(head, number, config.phantom_pair)) for head in training[: len(heads)]]
        slices[name] = Slices(
            domain=name,
            squares=squares,
            masks=_masks(translator, squares),
            names=[f"phantom {index:02d}" for index in range(len(heads))],
            groups=np.arange(len(heads)),
            training=_squares(translator, name, real),
        )
    warnings = () if config.data == "phantom" else ("the run was trained on real slices; these heads are drawn",)
    return TestSet(slices, "drawn heads that no training of this seed sees", warnings, phantoms=heads)


def phantom_pairs(heads: Sequence, config: TranslatorConfig) -> PairedPictures:
    """Drawn heads as aligned pairs of a run's domains."""
    return PairedPictures(
        names=[f"phantom {index:02d}" for index in range(len(heads))],
        images={
            name: np.stack([quantise(phantom_side(head, number, config.phantom_pair)) for head in heads])
            for number, name in enumerate(config.domain_names)
        },
        mask=np.stack([head.head for head in heads]),
        groups=np.arange(len(heads)),
        group_word="phantoms",
        lesion=np.stack([head.lesion for head in heads]),
    )


def drawn_picture(unit: np.ndarray) -> ImageData:
    """A drawn image in [0, 1] as if read from an 8-bit file."""
    return stored_picture(quantise(unit))


def stored_picture(pixels: np.ndarray) -> ImageData:
    """uint8 pixels as if read from a file."""
    return ImageData(pixels=pixels, bits=8, mode="L", format="PNG")
