"""One slice, as the project hands it around."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Picture:
    """A slice with what its gray values mean. What a file says of itself stays with its scan (`FileFacts`).

    Attributes:
        pixels: ``(height, width)``, uint8, uint16 or float32, as stored; colour is reduced to luma, transparency to
            black.
        low, high: the stored values that are black and white.
        physical_unit: of the stored values, such as ``HU``; ``""`` where they have none.
        spacing: of rows and of columns in mm, where it is known.
        head: ``(height, width)`` bool where the data say what is head; ``None`` where it is to be found.
        slab: slices of its volume on either side of it, in their order and itself in the middle; empty for a slice that
            is looked at alone.
    """

    pixels: np.ndarray
    low: float = 0.0
    high: float = 255.0
    physical_unit: str = ""
    spacing: tuple[float, float] | None = None
    head: np.ndarray | None = None
    slab: Sequence["Picture"] = ()

    @property
    def is_deep(self) -> bool:
        """Whether more than 8 bits are stored."""
        return self.pixels.dtype != np.uint8

    @property
    def has_own_range(self) -> bool:
        """Whether black and white were settled with it, as for slices of volumes, and no set's range replaces them."""
        return self.pixels.dtype == np.float32

    def with_range(self, low: float, high: float) -> "Picture":
        """The same slice with other values for black and white."""
        return replace(self, low=float(low), high=float(high))

    def spread(self) -> "Picture":
        """The same slice with black and white at the ends of its own values where it is deep: for what must not depend
        on how many of 16 bits a scanner used, or from where.
        """
        if not self.is_deep or self.has_own_range:
            return self
        return self.with_range(self.pixels.min(), max(self.pixels.max(), self.pixels.min() + 1.0))

    def scaled(self) -> np.ndarray:
        """``(height, width)`` float32 in [0, 1]: black 0, white 1, what lies beyond is clipped."""
        values = self.pixels.astype(np.float32)
        return np.clip((values - np.float32(self.low)) / np.float32(self.high - self.low), 0.0, 1.0)
