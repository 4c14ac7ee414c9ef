"""A square working frame around a slice, and the way back to the original size."""

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Frame:
    """Where a square working image lies in its source image.

    Attributes:
        height, width: the source's size in pixels.
        top, left: the square's upper left corner in source pixels; negative where it reaches outside.
        side: the square's side in source pixels.
    """

    height: int
    width: int
    top: int
    left: int
    side: int


def whole_frame(height: int, width: int) -> Frame:
    """The smallest square that holds the whole image, centred: padding instead of squashing."""
    side = max(height, width)
    return Frame(height=height, width=width, top=-((side - height) // 2), left=-((side - width) // 2), side=side)


def head_frame(mask: np.ndarray, *, reference: float, margin: float = 0.04) -> Frame:
    """A square around the head.

    Its side is ``reference`` times the longer side of the image, so that slices of one data set keep their relative
    size (a slice near the vertex stays small), or the head's own extent plus the margin where that is larger.

    Args:
        mask: ``(height, width)`` bool, the head; an empty mask gives `whole_frame`.
        reference: the data set's usual head extent as a fraction of the longer image side; see `head_extent`.
        margin: space on each side of the head, as a fraction of its extent.
    """
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return whole_frame(height, width)
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = int(round(max(extent, reference * max(height, width)) * (1 + 2 * margin)))
    top = int(round((rows[0] + rows[-1] + 1 - side) / 2))
    left = int(round((columns[0] + columns[-1] + 1 - side) / 2))
    return Frame(height=height, width=width, top=top, left=left, side=side)


BLANK_EXTENT = 0.05
"""Slices whose head extent is smaller show no head."""


def head_extent(mask: np.ndarray) -> float:
    """The longer side of the head's bounding box as a fraction of the longer image side; 0 for an empty mask."""
    if not mask.any():
        return 0.0
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return (max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1) / max(mask.shape)


def take(pixels: np.ndarray, frame: Frame, size: int, *, fill: float | None = None) -> np.ndarray:
    """Cuts the frame out of an image and resizes it.

    Args:
        pixels: ``(height, width)``, any real dtype.
        frame: of the same source size.
        size: side of the result.
        fill: value outside the image; ``None`` for the median of the image's border, so that padding is not an edge.

    Returns:
        ``(size, size)`` float32, within the range of ``pixels`` and ``fill``.
    """
    if pixels.shape != (frame.height, frame.width):
        raise ValueError(f"an image of {pixels.shape} does not fit a frame of {(frame.height, frame.width)}")
    square = np.full((frame.side, frame.side), border_value(pixels) if fill is None else fill, np.float32)
    inside, outside = _overlap(frame)
    square[inside] = pixels[outside]
    return resize(square, size, size)


def put_back(square: np.ndarray, frame: Frame, *, fill: float) -> np.ndarray:
    """The way back of `take`: ``(height, width)`` float32 of the source's size, ``fill`` outside the frame."""
    image = np.full((frame.height, frame.width), fill, np.float32)
    inside, outside = _overlap(frame)
    image[outside] = resize(square, frame.side, frame.side)[inside]
    return image


def resize(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Antialiased bicubic resize to ``(height, width)`` float32; overshoot is clipped to the input's range."""
    source = np.asarray(pixels, np.float32)
    if source.shape == (height, width):
        return source.copy()
    resized = np.asarray(Image.fromarray(source).resize((width, height), Image.Resampling.BICUBIC))
    return np.clip(resized, source.min(), source.max())


def border_value(pixels: np.ndarray) -> float:
    """The median of the outermost pixels."""
    return float(np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])))


def _overlap(frame: Frame):
    """Index pairs of the part that the frame and the source share: in the square, in the source."""
    inside, outside = [], []
    for start, length in ((frame.top, frame.height), (frame.left, frame.width)):
        first = min(max(start, 0), length)
        last = max(first, min(start + frame.side, length))
        outside.append(slice(first, last))
        # An empty part has no place in the square; any empty slice of it will do.
        inside.append(slice(first - start, last - start) if last > first else slice(0, 0))
    return tuple(inside), tuple(outside)
