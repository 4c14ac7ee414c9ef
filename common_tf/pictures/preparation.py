"""From a picture to a network's square and back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import yaml

from common_tf.errors import UserError
from common_tf.files import replace_text
from common_tf.pictures.geometry import Frame, border_value, head_frame, put_back, take, whole_frame
from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import common_range
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import VOLUME_BITS, FileFacts

PREPARATION_FILE = "preparation.yaml"
_REFERENCE_PERCENTILE = 90
MRI_WHITE = 4095.0
"""Of an MRI whose values have no unit and are written anew: 12 bits, as scanners store them."""


@dataclass(frozen=True)
class Preparation:
    """How the slices of one domain become squares; learned from its training files.

    Attributes:
        framing: ``head``: cut around the head, 0 outside it and at least 1/255 inside; ``whole``: padded to square.
        reference: the usual head extent as a fraction of the longer image side, so that heads of both domains come
            out about equally large although one scanner's pictures leave more room around them.
        depth: of the files that black and white were learned from: ``8``, ``16``; 0 for a window, which holds for files
            of any depth; 32 where each volume has its own.
        low, high: black and white of such files. Files of 8 bits without a window use 0 and 255 in any case.
        shows: the physical values, such as HU, that black and white of the training's 8-bit pictures stand for, where
            somebody said so; what a volume's values go through.
        reference_mm: the usual head extent in mm, where the training's slices had a spacing: the field of view is fixed
            then for slices that have one. 0 where it is not known.
    """

    framing: str
    reference: float
    depth: int = 8
    low: float = 0.0
    high: float = 255.0
    shows: tuple[float, float] | None = None
    reference_mm: float = 0.0

    def ranged(self, picture: Picture) -> Picture:
        """The picture with this domain's black and white.

        Raises:
            ValueError: a deep picture, and only 8-bit ones are known; `for_files` comes first.
        """
        if picture.has_own_range:
            return picture
        if picture.is_deep and self.depth == 8:
            raise ValueError("black and white of deep pictures are not known here; ask for_files")
        if picture.is_deep or not self.depth:
            return picture.with_range(self.low, self.high)
        return picture.with_range(0.0, 255.0)

    def for_files(
        self, facts: Mapping[str, FileFacts], *, name: str, window: tuple[float, float] | None = None
    ) -> "Preparation":
        """The preparation of other files than those it was learned from, perhaps of another depth.

        Args:
            facts: of all of these files, by name; deep ones share one scale.
            name: of the domain.
            window: black and white that the user gave.

        Raises:
            UserError: deep files whose black or white cannot be known.
        """
        if window is not None:
            return replace(self, depth=0, low=window[0], high=window[1])
        if any(one.is_volume for one in facts.values()):
            return self
        if not self.depth and self.reference_mm:
            raise UserError(
                f"{name}: black and white of this run are {self.low:g} and {self.high:g} of a volume's values; say "
                f"which values of these pictures they are: --window {name}=BLACK:WHITE"
            )
        deep = {file: one for file, one in facts.items() if one.is_deep}
        if not deep or not self.depth:
            return self
        low, high = common_range(deep.values(), name=name)
        if self.depth in (8, VOLUME_BITS):
            return replace(self, depth=16, low=low, high=high)
        above = [file for file, one in deep.items() if one.largest > self.high]
        if above:
            raise UserError(
                f"{name}: {len(above)} files hold values above {self.high:g}, which is white in this run ({above[0]}, "
                f"up to {deep[above[0]].largest}); give the values of black and white: --window {name}=BLACK:WHITE"
            )
        return self

    @property
    def physical(self) -> tuple[float, float] | None:
        """The physical values of black and white; ``None`` where nobody knows them, as of a window of picture files."""
        return (self.low, self.high) if not self.depth and self.reference_mm else self.shows

    def for_volume(self, window: tuple[float, float], *, reference: float) -> "Preparation":
        """The preparation of the slices of one volume: its values' black and white, and its own usual head extent.

        A scanner's field of view says nothing of how much room the training's pictures left around a head.
        """
        return replace(self, depth=0, low=window[0], high=window[1], reference=reference)

    def reference_of(self, picture: Picture) -> float:
        """The usual head extent as a fraction of a picture's longer side."""
        if not self.reference_mm or picture.spacing is None:
            return self.reference
        return self.reference_mm / picture.spacing[0] / max(picture.pixels.shape)

    @property
    def is_deep(self) -> bool:
        """Whether squares want more than 8 bits."""
        return self.high - self.low > 255


@dataclass(frozen=True)
class Square:
    """A prepared slice.

    Attributes:
        pixels: ``(size, size)`` float32 in [0, 1]; of a slab ``(size, size, slices)``, in the middle
            one's frame.
        mask: bool of the shape of ``pixels``, the head.
        frame: where it came from.
        background: the value that fills the rest of the picture on the way back.
    """

    pixels: np.ndarray
    mask: np.ndarray
    frame: Frame
    background: float


def learn_preparation(
    *,
    framing: str,
    extents: Sequence[float],
    extents_mm: Sequence[float] = (),
    facts: Sequence[FileFacts],
    name: str,
    window: tuple[float, float] | None = None,
    shows: tuple[float, float] | None = None,
) -> Preparation:
    """Learns a domain's preparation from its training files.

    Args:
        framing: see `Preparation`.
        extents: `common_tf.pictures.geometry.head_extent` of each slice.
        extents_mm: the same in mm, of slices whose spacing is known.
        facts: of each file.
        name: of the domain, for errors.
        window: black and white that the user gave.
        shows: see `Preparation`.
    """
    reference = usual_extent(extents) or 1.0
    millimetres = usual_extent(extents_mm)
    if window is not None:
        return Preparation(framing, reference, 0, window[0], window[1], reference_mm=millimetres)
    if any(one.is_volume for one in facts):
        return Preparation(framing, reference, VOLUME_BITS, 0.0, MRI_WHITE, reference_mm=millimetres)
    low, high = common_range(facts, name=name)
    depth = 16 if any(one.is_deep for one in facts) else 8
    return Preparation(framing, reference, depth=depth, low=low, high=high, shows=shows)


def usual_extent(extents: Sequence[float] | np.ndarray) -> float:
    """What most heads of a set do not exceed: the 90th percentile of extents; 0 where no head was found."""
    found = [extent for extent in extents if extent]
    return float(np.percentile(found, _REFERENCE_PERCENTILE)) if found else 0.0


def prepare(picture: Picture, preparation: Preparation, *, size: int) -> Square:
    """Prepares a slice.

    Args:
        picture: of the domain, perhaps with its slab; where it knows its head, as aligned pictures that share one do,
            that decides the frame.
        preparation: of its domain.
        size: side of the square.
    """
    scaled, mask = _seen(picture, preparation)
    cuts = preparation.framing == "head" and bool(mask.any())
    frame = head_frame(mask, reference=preparation.reference_of(picture)) if cuts else whole_frame(*scaled.shape)

    def taken(values: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if not cuts:
            inside = take_mask(head, frame, size) if mask.any() else np.ones((size, size), bool)
            return take(values, frame, size, fill=border_value(values)), inside
        # 0 is what is outside the head: black tissue stays one gray level above it.
        pixels = take(np.where(head, np.maximum(values, 1 / 255), 0), frame, size, fill=0.0)
        return pixels, take_mask(head, frame, size)

    pixels, inside = taken(scaled, mask)
    if picture.slab:
        middle = len(picture.slab) // 2
        every = [
            (pixels, inside) if at == middle else taken(*_seen(one, preparation)) for at, one in enumerate(picture.slab)
        ]
        pixels, inside = (np.stack(parts, axis=-1) for parts in zip(*every))
    return Square(pixels, inside, frame, 0.0 if cuts else border_value(scaled))


def _seen(picture: Picture, preparation: Preparation) -> tuple[np.ndarray, np.ndarray]:
    """The scaled pixels of a picture, and its head."""
    scaled = preparation.ranged(picture).scaled()
    return scaled, head_mask(scaled) if picture.head is None else picture.head


def take_mask(mask: np.ndarray, frame: Frame, size: int) -> np.ndarray:
    """The mask of a square, ``(size, size)`` bool."""
    return take(mask.astype(np.float32), frame, size, fill=0.0) > 0.5


def restore(square: np.ndarray, prepared: Square) -> np.ndarray:
    """The way back: a square of any side in [0, 1] as a picture of the source's size."""
    return put_back(square, prepared.frame, fill=prepared.background)


def save_preparations(path: Path, preparations: Mapping[str, Preparation]) -> None:
    """Writes the preparations by domain name."""
    replace_text(path, yaml.safe_dump({name: _record(value) for name, value in preparations.items()}, sort_keys=False))


def _record(preparation: Preparation) -> dict:
    """Without what nobody said; tuples are no plain YAML."""
    record = {name: value for name, value in asdict(preparation).items() if value is not None}
    if not preparation.reference_mm:
        del record["reference_mm"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}


def load_preparations(path: Path) -> dict[str, Preparation]:
    """Reads what `save_preparations` wrote.

    Raises:
        UserError: it is missing, damaged, or of another version.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return {name: preparation_from(value) for name, value in content.items()}
    except (OSError, TypeError, AttributeError, KeyError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path}: missing or damaged; the run needs it to prepare images") from error


def preparation_from(record: Mapping) -> Preparation:
    """A preparation from its record; also from one of runs before config format 2, which knew a maximum only."""
    if "maximum" in record:
        high = float(record["maximum"])
        found = Preparation(record["framing"], record["reference"], 8 if high == 255 else 16, 0.0, high)
    else:
        shows = record.get("shows")
        found = Preparation(**{**record, "shows": None if shows is None else (float(shows[0]), float(shows[1]))})
    numbers = (found.reference, found.reference_mm, found.low, found.high, *(found.shows or ()))
    if (
        found.framing not in ("head", "whole")
        or found.depth not in (0, 8, 16, VOLUME_BITS)
        or not np.isfinite(numbers).all()
    ):
        raise ValueError(f"{record} is no preparation")
    return found
