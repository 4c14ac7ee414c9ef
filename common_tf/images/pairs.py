"""Aligned pairs: strips with the images side by side, or two folders with the same file names.

    DIR/*.png            strips of two or three equal tiles; ``order`` names them, such as MRI,CT,mask
    DIR/CT/ DIR/MRI/     folders named as the domains (or A/ and B/), same file names in both; perhaps mask/

Either form may stand under DIR/train and DIR/test. A patients.csv (columns file, patient; files relative to its own
folder) in DIR or above it says which slices are of one patient.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.head import head_mask
from common_tf.images.reading import BadImage, image_paths, read_image

MASK = "mask"
DEFAULT_ORDER = "MRI,CT,mask"


@dataclass(frozen=True)
class PairedPictures:
    """Aligned pictures of one size.

    Attributes:
        names: of the pairs.
        images: ``(n, height, width)`` uint8 by domain name.
        mask: ``(n, height, width)`` bool, the head.
        groups: ``(n,)`` the patient of each, or its own name where patients are not known.
        group_word: ``patients`` or ``slices``.
        lesion: ``(n, height, width)`` bool where it is known.
    """

    names: Sequence[str]
    images: Mapping[str, np.ndarray]
    mask: np.ndarray
    groups: np.ndarray
    group_word: str
    lesion: Optional[np.ndarray] = None


def pair_folder(folder: Path, split: str) -> Optional[Path]:
    """The folder of a split: ``DIR/train`` or ``DIR/test``, also where DIR is itself one of the two; else ``None``."""
    folder = Path(folder)
    for candidate in (folder / split, folder.parent / split if folder.name in ("train", "test") else None):
        if candidate is not None and candidate.is_dir():
            return candidate
    return None


def read_pairs(folder: Path, *, domains: Sequence[str], order: str = DEFAULT_ORDER) -> PairedPictures:
    """Reads the pairs directly inside a folder.

    Args:
        folder: see the module.
        domains: names of domain A and B.
        order: names of a strip's tiles, from the left.

    Raises:
        UserError: no pairs, unusable files, tiles or partners of unequal size.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one with pairs (strips, or a folder for each domain)")
    sides = _domain_folders(folder, domains)
    pairs = _from_folders(sides, folder) if sides else _from_strips(folder, domains, order)
    first = next(iter(pairs.values()))
    for name, pair in pairs.items():
        shapes = {pixels.shape for pixels in (*pair.values(), first[domains[0]])}
        if len(shapes) > 1:
            sizes = ", ".join(f"{width}x{height}" for height, width in sorted(shapes))
            raise UserError(f"{folder / name}: pairs must have one size, found {sizes}; resize them alike")
    images = {domain: np.stack([pair[domain] for pair in pairs.values()]) for domain in domains}
    if all(MASK in pair for pair in pairs.values()):
        mask = np.stack([pair[MASK] for pair in pairs.values()]) > 127
    else:
        # Of both images: the dark rim of one is tissue in the other.
        mask = np.stack([head_mask(a / 255.0) | head_mask(b / 255.0) for a, b in zip(*images.values())])
    patients = _patients(folder)
    names = list(pairs)
    known = patients is not None and all(name in patients for name in names)
    return PairedPictures(
        names=names,
        images=images,
        mask=mask,
        groups=np.array([patients[name] for name in names] if known else names),
        group_word="patients" if known else "slices",
    )


def _domain_folders(folder: Path, domains: Sequence[str]) -> dict:
    for first, second in (domains, ("A", "B")):
        if (folder / first).is_dir() and (folder / second).is_dir():
            found = {domains[0]: folder / first, domains[1]: folder / second}
            return {**found, MASK: folder / MASK} if (folder / MASK).is_dir() else found
    return {}


def _from_folders(sides: Mapping[str, Path], folder: Path) -> dict:
    files = {domain: {path.stem: path for path in image_paths(side)} for domain, side in sides.items()}
    stems = [set(found) for found in files.values()]
    alone = sorted(set.union(*stems) - set.intersection(*stems))
    if alone:
        raise UserError(f"{folder}: {len(alone)} images have no partner of the same name ({', '.join(alone[:5])})")
    if not stems[0]:
        raise UserError(f"{folder}: no images in {', '.join(side.name for side in sides.values())}")
    return {stem: {domain: _read(files[domain][stem]) for domain in files} for stem in sorted(stems[0])}


def _from_strips(folder: Path, domains: Sequence[str], order: str) -> dict:
    names = [name.strip() for name in order.split(",")]
    if len(set(names)) != len(names) or not set(domains) <= set(names) or len(names) > 3:
        raise UserError(f"the order of a strip's tiles, {order}, wants {domains[0]} and {domains[1]} once each")
    paths = image_paths(folder)
    if not paths:
        raise UserError(
            f"{folder}: no pairs; strips with {order} side by side are wanted, or folders {domains[0]}/ and "
            f"{domains[1]}/ with the same file names"
        )
    pairs = {}
    for path in paths:
        strip = _read(path)
        tiles = len(names) if strip.shape[1] == len(names) * strip.shape[0] else round(strip.shape[1] / strip.shape[0])
        if tiles < 2 or tiles > len(names) or strip.shape[1] % tiles or not set(domains) <= set(names[:tiles]):
            raise UserError(
                f"{path}: {strip.shape[1]}x{strip.shape[0]} pixels are no strip of equal square tiles {order}; "
                "unaligned images go into trainA/ and trainB/ instead"
            )
        pairs[path.name] = dict(zip(names, np.split(strip, tiles, axis=1)))
    return pairs


def _read(path: Path) -> np.ndarray:
    try:
        return read_image(path).pixels_8_bit
    except (OSError, BadImage) as error:
        raise UserError(f"{path}: {error}") from error


def _patients(folder: Path) -> Optional[dict]:
    for root in (folder, folder.parent):
        table = root / "patients.csv"
        if table.exists():
            with open(table, newline="", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
            if rows and not {"file", "patient"} <= set(rows[0]):
                raise UserError(f"{table}: wants the columns file and patient")
            return {Path(row["file"]).name: row["patient"] for row in rows if (root / row["file"]).parent == folder}
    return None
