"""What the metrics of this folder share."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metric:
    """A similarity of images.

    Attributes:
        function: of two stacks ``(n, height, width)`` in [0, 1] and, by keyword, ``mask`` (bool, same shape) where it
            is measured in the head.
        title: heading of its column.
        definition: formula or source, without range and region, which the tables add.
        better: ``higher`` or ``lower``.
        digits: after the point.
        regions: where it is measured: ``head``, ``full``.
        compared: whether it stands in the comparison of systems too.
    """

    function: Callable[..., np.ndarray]
    title: str
    definition: str
    better: str
    digits: int = 3
    regions: tuple[str, ...] = ("head", "full")
    compared: bool = False


def double(images: np.ndarray) -> np.ndarray:
    """The images in double precision."""
    return np.asarray(images, np.float64)


def mean_over(values: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The mean of each image's values, ``(n,)``, over the mask where there is one; nan where that is empty."""
    if mask is None:
        return values.mean(axis=(1, 2))
    weights = np.asarray(mask, np.float64)
    with np.errstate(invalid="ignore"):
        return (values * weights).sum(axis=(1, 2)) / weights.sum(axis=(1, 2))
