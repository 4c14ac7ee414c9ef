"""Slices of a volume as pictures with pixels as high as wide."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common_tf.pictures.geometry import resize
from common_tf.pictures.picture import Picture
from common_tf.volumes.planes import PLANES, Slices, slices_of
from common_tf.volumes.resampling import regular
from common_tf.volumes.volume import Volume

_SQUARE = 0.01
_SINGLE = 3
"""Axes of a stack of slices that are no slabs."""


@dataclass(frozen=True)
class Slab:
    """Which slices of a volume are looked at together.

    Attributes:
        neighbours: on either side of the one in the middle; 0 for that one alone.
        distance: mm from one to the next, for slices that are nearer than that; 0 for every slice.
    """

    neighbours: int = 0
    distance: float = 0.0

    def __len__(self) -> int:
        return 2 * self.neighbours + 1

    def numbers(self, slices: Slices, number: int) -> list[int]:
        """The slices around one, in their order; beyond an end of the volume its last one again. Empty for one alone.

        Args:
            slices: of a volume.
            number: of the slice in the middle.
        """
        stride = self.stride(slices)
        places = (number + at * stride for at in range(-self.neighbours, self.neighbours + 1))
        return [min(max(place, 0), len(slices) - 1) for place in places] if self.neighbours else []

    def stride(self, slices: Slices) -> int:
        """Slices from one of a slab to the next."""
        return stride_of(slices, self.distance)


def stride_of(slices: Slices, distance: float) -> int:
    """Every which slice lies at about a distance in mm from the one before; 1 where slices lie further apart."""
    return max(1, round(distance / slices.step)) if slices.step else 1


ALONE = Slab()


@dataclass(frozen=True)
class Slicing:
    """Which slices of a volume are cases, and what each brings along.

    Attributes:
        planes: of `common_tf.volumes.planes.PLANES`, in all of which it is sliced.
        slab: slices that are looked at together.
        slice_mm: distance of the slices that are cases, where a volume has nearer ones; 0 for all.
    """

    planes: Sequence[str] = ("axial",)
    slab: Slab = ALONE
    slice_mm: float = 0.0


EVERY_AXIAL = Slicing()


def middle_of_slabs(images: np.ndarray) -> np.ndarray:
    """The middle slices of slabs ``(n, height, width, slices)``; ``(n, height, width)`` stays as it is."""
    return images if images.ndim == _SINGLE else images[..., images.shape[-1] // 2]


def picture_of(slices: Slices, number: int, window: tuple[float, float]) -> Picture:
    """A slice with its black and white and its mm a pixel.

    Args:
        slices: of a volume.
        number: which one.
        window: values that are black and white.
    """
    low, high = window
    fine = min(slices.spacing)
    return Picture(square_pixels(slices.values[number], slices.spacing), low, high, spacing=(fine, fine))


def middle_slices(volume: Volume, window: tuple[float, float]) -> list[np.ndarray]:
    """The middle of each of `PLANES` for people: ``(height, width)`` float32 in [0, 1], on an even grid.

    Args:
        volume: any.
        window: values that are black and white.
    """
    even, (low, high) = regular(volume), window
    planes = [slices_of(even, plane) for plane in PLANES]
    middles = [square_pixels(one.values[len(one) // 2], one.spacing) for one in planes]
    return [np.clip((middle - low) / (high - low), 0, 1) for middle in middles]


def square_pixels(values: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """The picture with pixels as high as wide, as pictures for networks and for people have them.

    Args:
        values: ``(height, width)``.
        spacing: mm from row to row and from column to column.
    """
    rows, columns = spacing
    if abs(rows / columns - 1) < _SQUARE:
        return np.ascontiguousarray(values)
    fine, (height, width) = min(rows, columns), values.shape
    return resize(values, round(height * rows / fine), round(width * columns / fine))
