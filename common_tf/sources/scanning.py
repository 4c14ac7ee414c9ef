"""One look at a picture: fingerprints, format and geometry."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import imagehash
import numpy as np
from PIL import Image

from common_tf.pictures.geometry import head_extent, take, whole_frame
from common_tf.pictures.head import head_mask, unlike_a_head
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import BadPicture, FileFacts
from common_tf.sources.source import Case, Loaded, shown

THUMBNAIL_SIDE = 64


@dataclass(frozen=True)
class Scan:
    """What is known of one picture before training.

    Attributes:
        name: of its file, relative to the source's root.
        label: its domain or class.
        given_split: ``train``, ``validation``, ``test`` or ``""``, as its folder says.
        problem: why it cannot be used; ``""`` for a good one, and then the attributes below are filled.
        sha256: of its file's bytes, hexadecimal; also there for a bad file, unless it cannot be read at all.
        facts: what the file says of itself.
        phash, mirrored_phash: 64-bit DCT hash (ImageHash) of the thumbnail and of its mirror image, ``(64,)`` bool.
        thumbnail: ``(64, 64)`` uint8 for ``np.asarray``, padded to square, scaled by its own values where it is deep:
            fingerprints must not depend on how many of 16 bits a scanner used. May be on disk.
        extent: `head_extent` of the slice; 0 where no head was found.
        extent_mm: the same in mm where the spacing is known; 0 elsewhere.
        aspect: width over height of the head's bounding box; 0 where no head was found.
        quartiles: stored values below which a quarter and three quarters of the head's pixels lie; equal where no head
            was found.
        unlike: why its outline is `unlike_a_head`; ``""`` where it is not.
        notes: what its case has to say, such as the values of a mask.
    """

    name: str
    label: str
    given_split: str = ""
    problem: str = ""
    sha256: str = ""
    facts: FileFacts | None = None
    phash: np.ndarray | None = field(default=None, repr=False)
    mirrored_phash: np.ndarray | None = field(default=None, repr=False)
    thumbnail: Any = field(default=None, repr=False)
    extent: float = 0.0
    extent_mm: float = 0.0
    aspect: float = 0.0
    quartiles: tuple[float, float] = (0.0, 0.0)
    unlike: str = ""
    notes: Sequence[str] = ()

    @property
    def phash_hex(self) -> str:
        """The perceptual hash as 16 hexadecimal digits."""
        return "" if self.phash is None else np.packbits(self.phash).tobytes().hex()


def scan_case(case: Case) -> list[Scan]:
    """Scans one case; a bad one is returned with its ``problem`` and not raised, so that all can be listed at once."""
    digests = {}
    for label, path in case.paths.items():
        if shown(case.files[label]) != case.files[label]:
            return _bad(case, "its name is not valid UTF-8; rename it", {})
        try:
            digests[label] = _digest(path)
        except OSError as error:
            which = "" if case.files[label] == next(iter(case.files.values())) else f"its {label} {path.name}: "
            return _bad(case, f"{which}cannot be read ({error.strerror})", digests)
    try:
        loaded = case.load()
        for path in case.extra:
            for label in digests:  # a changed mask is a changed case
                digests[label] = hashlib.sha256(f"{digests[label]}{_digest(path)}".encode()).hexdigest()
    except BadPicture as error:
        return _bad(case, str(error), digests)
    except OSError as error:
        return _bad(case, f"cannot be read ({error.strerror})", digests)
    digests = {**loaded.digests, **digests}
    return [_scan(case, label, loaded, digests.get(label, "")) for label in case.labels]


def scan_picture(picture: Picture, facts: FileFacts, *, name: str, label: str) -> Scan:
    """The scan of a picture in memory, with no file behind it."""
    return _filled(picture, facts, name=name, label=label)


def perceptual_hash(thumbnail: np.ndarray) -> np.ndarray:
    """The 64-bit DCT hash of an 8-bit image, ``(64,)`` bool."""
    return imagehash.phash(Image.fromarray(thumbnail)).hash.ravel()


def _digest(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _bad(case: Case, problem: str, digests: dict) -> list[Scan]:
    return [
        Scan(shown(case.files[label]), shown(label), case.given_split, problem=problem, sha256=digests.get(label, ""))
        for label in case.labels
    ]


def _scan(case: Case, label: str, loaded: Loaded, digest: str) -> Scan:
    return _filled(
        loaded.pictures[label], loaded.facts[label], name=case.files[label], label=label, given_split=case.given_split,
        sha256=digest, notes=tuple(loaded.notes),
    )  # fmt: skip


def _filled(picture: Picture, facts: FileFacts, **known) -> Scan:
    scaled = (picture.spread() if picture.is_deep else picture.with_range(0, 255)).scaled()
    thumbnail = np.round(take(scaled, whole_frame(*scaled.shape), THUMBNAIL_SIDE) * 255).astype(np.uint8)
    mask = head_mask(scaled) if picture.head is None else picture.head
    return Scan(
        **known,
        facts=facts,
        phash=perceptual_hash(thumbnail),
        mirrored_phash=perceptual_hash(np.ascontiguousarray(thumbnail[:, ::-1])),
        thumbnail=thumbnail,
        extent=head_extent(mask),
        extent_mm=head_extent(mask) * max(mask.shape) * picture.spacing[0] if picture.spacing else 0.0,
        aspect=_aspect(mask),
        quartiles=_quartiles(picture.pixels[mask]),
        unlike=unlike_a_head(mask),
    )


def _quartiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, (25, 75)) if values.size else (0.0, 0.0)
    return float(low), float(high)


def _aspect(mask: np.ndarray) -> float:
    if not mask.any():
        return 0.0
    return float(np.ptp(np.flatnonzero(mask.any(axis=0))) + 1) / float(np.ptp(np.flatnonzero(mask.any(axis=1))) + 1)
