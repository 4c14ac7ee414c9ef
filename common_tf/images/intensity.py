"""Intensity scales: stored values, [0, 1] for metrics, [-1, 1] for networks."""

import numpy as np


def value_range(*, bits: int, largest: int) -> int:
    """The value that becomes 1.0 for a set of images.

    8-bit files use their full range. 16-bit files often hold 10, 12 or 15 significant bits, so their scale is the
    smallest ``2**k - 1`` that holds the largest value of the *set*: one scale a set, because a scale of its own for
    every slice would change the meaning of a gray value from slice to slice.

    Args:
        bits: the largest stored depth in the set.
        largest: the largest value in the set.
    """
    if bits == 8:
        return 255
    return max(255, 2 ** int(largest).bit_length() - 1)


def to_unit(pixels: np.ndarray, *, maximum: int) -> np.ndarray:
    """Stored values to float32 in [0, 1]; values above ``maximum`` are clipped."""
    return np.clip(pixels.astype(np.float32) / maximum, 0.0, 1.0)


def to_signed(unit):
    """[0, 1] to [-1, 1]; arrays or tensors."""
    return unit * 2.0 - 1.0


def to_unit_from_signed(signed):
    """[-1, 1] to [0, 1]; arrays or tensors."""
    return (signed + 1.0) / 2.0


def quantise(unit: np.ndarray, *, bits: int = 8, maximum: int = 255) -> np.ndarray:
    """[0, 1] to stored values, rounded, uint8 or uint16."""
    return np.round(np.clip(unit, 0.0, 1.0) * maximum).astype(np.uint8 if bits == 8 else np.uint16)
