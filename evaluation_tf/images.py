"""Images that know what they are: the hash of their content is taken once and travels with them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation
from common_tf.sources.cache import PreparedSlices
from common_tf.volumes.slices import middle_of_slabs

IMAGES_AT_ONCE = 32
"""A whole test set in double precision would fill the memory, so everything is computed on so many at a time."""

_VERSION = "2"


def content_hash(*parts) -> str:
    """SHA-256 of arrays, bytes and words, in order."""
    digest = hashlib.sha256(_VERSION.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        else:
            digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\x00")
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def batches(count: int) -> list[slice]:
    """Slices of at most `IMAGES_AT_ONCE` that together cover ``count`` images."""
    return [slice(start, start + IMAGES_AT_ONCE) for start in range(0, count, IMAGES_AT_ONCE)]


@dataclass(frozen=True, eq=False)
class Images:
    """A stack of images, or of their masks.

    Attributes:
        pixels: ``(n, height, width)`` uint8, or bool for masks.
        digest: of their content, or of what they were computed from.
        slabs: ``(n, height, width, slices)`` uint8, each with its neighbours in its volume, for networks that want
            them; ``None`` where there are none.
    """

    pixels: np.ndarray
    digest: str
    slabs: np.ndarray | None = None

    @classmethod
    def of(cls, pixels: np.ndarray) -> "Images":
        """Images by their content."""
        return cls(pixels, content_hash(pixels))

    @classmethod
    def prepared(cls, made: PreparedSlices) -> "Images":
        """The squares of prepared slices, which may hold more than 8 bits, as 8 bits."""
        pixels = np.asarray(made.pixels)
        if pixels.dtype != np.uint8:
            pixels = np.concatenate(
                [quantise(made.scaled(part)) for part in batches(len(made))] or [quantise(made.scaled())]
            )
        middles = middle_of_slabs(pixels)
        return cls.of(pixels) if middles is pixels else cls(middles, content_hash(pixels), pixels)

    def __len__(self) -> int:
        return len(self.pixels)

    def chosen(self, indices: np.ndarray) -> "Images":
        """Some of them."""
        indices = np.asarray(indices)
        slabs = None if self.slabs is None else self.slabs[indices]
        return Images(self.pixels[indices], content_hash(self.digest, indices), slabs)

    def scaled(self, part: slice | np.ndarray = slice(None)) -> np.ndarray:
        """Pixels of some of them as float32 in [0, 1]; masks stay bool."""
        if self.pixels.dtype == bool:
            return self.pixels[part]
        return self.pixels[part].astype(np.float32) / np.float32(255)

    def as_seen(self, part: slice | np.ndarray = slice(None)) -> np.ndarray:
        """What a translator is given of some of them: as `scaled`, with their neighbours where they have some."""
        seen = self.pixels if self.slabs is None else self.slabs
        return seen[part].astype(np.float32) / np.float32(255)

    def pictures(self) -> "Pictures":
        """The same, one by one."""
        return Pictures([Picture(pixels) for pixels in self.pixels], self.digest)


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of any sizes.

    Attributes:
        items: the pictures.
        digest: of their content, or of what they were computed from.
        are_scaled: 8 bits, 0 is black and 255 white, whatever the values of files may mean to a run.
    """

    items: Sequence[Picture]
    digest: str
    are_scaled: bool = True

    def __len__(self) -> int:
        return len(self.items)

    def chosen(self, indices: np.ndarray) -> "Pictures":
        """Some of them."""
        digest = content_hash(self.digest, np.asarray(indices))
        return replace(self, items=[self.items[index] for index in indices], digest=digest)

    def images(self) -> Images:
        """The same as a stack; they must be scaled and of one size."""
        return Images(np.stack([picture.pixels for picture in self.items]), self.digest)


def scaled_pictures(pictures: Sequence[Picture], preparation: Preparation) -> Pictures:
    """Pictures with a domain's black and white, as 8 bits."""
    pixels = [quantise(preparation.ranged(picture).scaled()) for picture in pictures]
    return Pictures([Picture(one) for one in pixels], content_hash(*pixels))


def for_scaled(preparation: Preparation) -> Preparation:
    """The preparation for pictures that are scaled already, which no window may scale again."""
    return replace(preparation, depth=8, low=0.0, high=255.0)


def for_scaled_domains(preparations: Mapping[str, Preparation]) -> dict[str, Preparation]:
    """`for_scaled` for every domain."""
    return {name: for_scaled(one) for name, one in preparations.items()}
