"""Masks as people store them: 0 and 255, 0 and 1, labels, or blurred by a lossy format."""

from dataclasses import dataclass

import numpy as np

_LABELS = 8


@dataclass(frozen=True)
class MaskValues:
    """What a mask file holds.

    Attributes:
        inside: ``(height, width)`` bool.
        labels: its values other than 0, where they are few; empty for a blurred mask.
    """

    inside: np.ndarray
    labels: tuple[int, ...]


def mask_notes(values: MaskValues) -> tuple[str, ...]:
    """What a person should know of a mask: nothing where it holds 0 and 255, or 0 and 1."""
    if values.labels in ((255,), (1,), ()):
        return ()
    return (f"mask values {', '.join(map(str, values.labels))}; all but 0 is inside",)


def read_mask(pixels: np.ndarray) -> MaskValues:
    """What is inside a mask.

    Everything that is not zero is inside. A mask with more than eight values is not a mask of labels but one that a
    lossy format or a resize has blurred: there half of the largest value and more is inside.

    Args:
        pixels: ``(height, width)`` of any whole type, or ``(height, width, channels)``, of which the largest counts.
    """
    values = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    labels = np.unique(values[values > 0])
    if len(labels) <= _LABELS:
        return MaskValues(values > 0, tuple(int(value) for value in labels))
    return MaskValues(values >= labels[-1] / 2, ())
