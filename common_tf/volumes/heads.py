"""Where the head is in a volume, and its slices that show one as squares for a network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from common_tf.pictures.geometry import BLANK_EXTENT, head_extent
from common_tf.pictures.head import head_mask
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation, usual_extent
from common_tf.progress import progress_in_parts
from common_tf.volumes.planes import Slices, slices_of, voxels_of
from common_tf.volumes.slices import picture_of
from common_tf.volumes.volume import BadVolume, Volume

CT_HEAD = -500.0, 500.0
"""HU that are black and white where the head is looked for in a CT: skin and all that is within it."""

_AT_ONCE = 16


class NoHead(BadVolume):
    """No slice of a volume shows a head."""


@dataclass(frozen=True)
class HeadSlices:
    """A volume's slices, and where in them a head is.

    Attributes:
        slices: of the volume.
        window: values that are black and white.
        masks: of each slice ``(height, width)`` bool, its head, with pixels as high as wide.
        found: numbers of the slices that show a head.
        preparation: from a slice to a square, with the volume's own black and white and its usual head extent.
    """

    slices: Slices
    window: tuple[float, float]
    masks: Sequence[np.ndarray]
    found: np.ndarray
    preparation: Preparation

    def parts(self, words: str) -> Iterator[list[int]]:
        """Numbers of the slices that show a head, as many as fit a batch.

        Args:
            words: what is done with them, for the progress.
        """
        for _, part in progress_in_parts(self.found.tolist(), size=_AT_ONCE, words=words):
            yield list(part)

    def picture(self, number: int, slab: Sequence[int] = ()) -> Picture:
        """A slice with its head, and with the slices of its slab, if their numbers are given."""
        # Made when it is wanted and not kept: all of them are a copy of the whole volume.
        alone = replace(picture_of(self.slices, number, self.window), head=self.masks[number])
        return replace(alone, slab=[alone if at == number else self.picture(at) for at in slab])


def head_of(volume: Volume, window: tuple[float, float]) -> np.ndarray:
    """The head, axial slice by axial slice.

    Args:
        volume: any.
        window: values that are black and white; `CT_HEAD` for a CT in HU.

    Returns:
        ``(i, j, k)`` bool.

    Raises:
        NoHead: no slice shows one.
    """
    low, high = window
    found = [head_mask(np.clip((one - low) / (high - low), 0, 1)) for one in slices_of(volume).values]
    mask = voxels_of(np.stack(found), volume)
    if not mask.any():
        raise NoHead("shows no head")
    return mask


def head_slices(slices: Slices, window: tuple[float, float], preparation: Preparation) -> HeadSlices:
    """Finds the heads.

    Args:
        slices: of a volume.
        window: values that are black and white.
        preparation: of a run.

    Raises:
        NoHead: no slice shows one.
    """
    masks = [head_mask(picture_of(slices, number, window).scaled()) for number in range(len(slices))]
    extents = np.array([head_extent(mask) for mask in masks])
    found = np.flatnonzero(extents > BLANK_EXTENT)
    if not found.size:
        raise NoHead("no slice shows a head; are black and white right (--window)?")
    own = preparation.for_volume(window, reference=usual_extent(extents[found]))
    return HeadSlices(slices, window, masks, found, own)
