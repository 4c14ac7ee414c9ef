"""From a file's pixels to a network's square and back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

import numpy as np
import yaml

from common_tf.errors import UserError
from common_tf.images.geometry import Frame, border_value, head_frame, put_back, take, whole_frame
from common_tf.images.head import head_mask
from common_tf.images.intensity import to_unit, value_range
from common_tf.runs.files import replace_text

_REFERENCE_PERCENTILE = 90


@dataclass(frozen=True)
class Preparation:
    """How the slices of one domain become squares; learned from its training files.

    Attributes:
        framing: ``head``: cut around the head, 0 outside it and at least 1/255 inside; ``whole``: padded to square.
        maximum: the stored value that becomes 1.0 (8-bit files always use 255).
        reference: the usual head extent as a fraction of the longer image side, so that heads of both domains come
            out about equally large although one scanner's pictures leave more room around them.
    """

    framing: str
    maximum: int
    reference: float


@dataclass(frozen=True)
class Square:
    """A prepared slice.

    Attributes:
        pixels: ``(size, size)`` float32 in [0, 1].
        frame: where it came from.
        background: the value that fills the rest of the picture on the way back.
    """

    pixels: np.ndarray
    frame: Frame
    background: float


def learn_preparation(*, framing: str, extents: Sequence[float], bits: int, largest: int) -> Preparation:
    """Learns a domain's preparation from its training files.

    Args:
        framing: see `Preparation`.
        extents: `common_tf.images.geometry.head_extent` of each slice.
        bits: the largest stored depth.
        largest: the largest stored value.
    """
    found = [extent for extent in extents if extent]
    return Preparation(
        framing=framing,
        maximum=value_range(bits=bits, largest=largest),
        reference=float(np.percentile(found, _REFERENCE_PERCENTILE)) if found else 1.0,
    )


def prepare(
    pixels: np.ndarray, preparation: Preparation, *, bits: int, size: int, mask: Optional[np.ndarray] = None
) -> Square:
    """Prepares a slice.

    Args:
        pixels: ``(height, width)`` as stored.
        preparation: of its domain.
        bits: the file's depth.
        size: side of the square.
        mask: ``(height, width)`` bool, the head where it is known; aligned images share one, and so one frame.
    """
    unit = to_unit(pixels, maximum=255 if bits == 8 else preparation.maximum)
    if preparation.framing != "head":
        mask = None
    elif mask is None:
        mask = head_mask(unit)
    if mask is None or not mask.any():
        frame, background = whole_frame(*unit.shape), border_value(unit)
        return Square(take(unit, frame, size, fill=background), frame, background)
    frame = head_frame(mask, reference=preparation.reference)
    # 0 says "outside the head": black tissue stays one gray level above it.
    return Square(take(np.where(mask, np.maximum(unit, 1 / 255), 0), frame, size, fill=0.0), frame, 0.0)


def restore(square: np.ndarray, prepared: Square) -> np.ndarray:
    """The way back: a square of any side in [0, 1] as a picture of the source's size."""
    return put_back(square, prepared.frame, fill=prepared.background)


def save_preparations(path: Path, preparations: Mapping[str, Preparation]) -> None:
    """Writes the preparations by domain name."""
    replace_text(path, yaml.safe_dump({name: vars(value) for name, value in preparations.items()}, sort_keys=False))


def load_preparations(path: Path) -> dict:
    """Reads what `save_preparations` wrote."""
    try:
        return {name: Preparation(**value) for name, value in yaml.safe_load(Path(path).read_text()).items()}
    except (OSError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: missing or damaged; the run needs it to prepare images") from error
