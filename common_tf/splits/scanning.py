"""One look at every file of a data set: fingerprints, format and geometry."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Sequence

import imagehash
import numpy as np
from PIL import Image

from common_tf.images.geometry import head_extent, take, whole_frame
from common_tf.images.head import head_mask
from common_tf.images.intensity import to_unit
from common_tf.images.reading import BadImage, decode_image

THUMBNAIL_SIDE = 64


@dataclass(frozen=True)
class ScannedFile:
    """What is known of one file before training.

    Attributes:
        path: where it lies.
        label: its domain or class.
        given_split: ``train``, ``test`` or ``""``, as its folder says.
        problem: why it cannot be used; ``""`` for a good file, and then the attributes below are filled.
        sha256: of the file's bytes, hexadecimal; also there for a bad file, unless it cannot be read at all.
        mode, format, bits, height, width, largest: see `common_tf.images.reading.ImageData`; ``largest`` is the
            largest stored value.
        phash, mirrored_phash: 64-bit DCT hash (ImageHash) of the thumbnail and of its mirror image, ``(64,)`` bool.
        thumbnail: ``(64, 64)`` float32 in [0, 1], padded to square.
        extent: `head_extent` of the slice; 0 where no head was found.
        aspect: width over height of the head's bounding box; 0 where no head was found.
    """

    path: Path
    label: str
    given_split: str
    problem: str = ""
    sha256: str = ""
    mode: str = ""
    format: str = ""
    bits: int = 0
    height: int = 0
    width: int = 0
    largest: int = 0
    phash: Optional[np.ndarray] = field(default=None, repr=False)
    mirrored_phash: Optional[np.ndarray] = field(default=None, repr=False)
    thumbnail: Optional[np.ndarray] = field(default=None, repr=False)
    extent: float = 0.0
    aspect: float = 0.0

    @property
    def phash_hex(self) -> str:
        """The perceptual hash as 16 hexadecimal digits."""
        return "" if self.phash is None else str(imagehash.ImageHash(self.phash.reshape(8, 8)))


def scan_files(paths: Sequence[Path], *, label: str, given_split: str, workers: int = 4) -> list:
    """Scans files in parallel (decoding releases Python's lock); the result is in the order of ``paths``."""
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda path: scan_file(path, label=label, given_split=given_split), paths))


def scan_file(path: Path, *, label: str, given_split: str) -> ScannedFile:
    """Scans one file; a bad one is returned with its ``problem`` and not raised, so that all can be listed at once."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return ScannedFile(
            path=path, label=label, given_split=given_split, problem=f"cannot be read ({error.strerror})"
        )
    digest = hashlib.sha256(content).hexdigest()
    try:
        image = decode_image(content)
    except BadImage as error:
        return ScannedFile(path=path, label=label, given_split=given_split, problem=str(error), sha256=digest)
    height, width = image.pixels.shape
    # Scaled by its own largest value: fingerprints must not depend on how many of 16 bits a scanner used.
    largest = int(image.pixels.max())
    unit = to_unit(image.pixels, maximum=255 if image.bits == 8 else largest)
    thumbnail = take(unit, whole_frame(height, width), THUMBNAIL_SIDE)
    mask = head_mask(unit)
    return ScannedFile(
        path=path,
        label=label,
        given_split=given_split,
        sha256=digest,
        mode=image.mode,
        format=image.format,
        bits=image.bits,
        height=height,
        width=width,
        largest=largest,
        phash=perceptual_hash(thumbnail),
        mirrored_phash=perceptual_hash(thumbnail[:, ::-1]),
        thumbnail=thumbnail,
        extent=head_extent(mask),
        aspect=_aspect(mask),
    )


def perceptual_hash(unit: np.ndarray) -> np.ndarray:
    """The 64-bit DCT hash of an image in [0, 1], ``(64,)`` bool."""
    return imagehash.phash(Image.fromarray(np.round(unit * 255).astype(np.uint8))).hash.ravel()


def _aspect(mask: np.ndarray) -> float:
    if not mask.any():
        return 0.0
    return float(np.ptp(np.flatnonzero(mask.any(axis=0))) + 1) / float(np.ptp(np.flatnonzero(mask.any(axis=1))) + 1)
