"""Translating a block that is larger than a network's cube: overlapping cubes, blended by Gaussian weights."""

import itertools
from collections.abc import Callable

import numpy as np

from common_tf.progress import progress

_SIGMA = 1 / 8
"""Of the weights, in sides of a cube (as nnU-Net has it, Isensee et al. 2021).

No floor beneath them: with one, voxels that lie off the middle in all three directions would be a plain mean of cubes,
borders included.
"""


def slide(
    pixels: np.ndarray, translate: Callable[[np.ndarray], np.ndarray], *, side: int, overlap: float
) -> np.ndarray:
    """Translates a block cube by cube.

    A network that leaves its input as it is gives the block back. Instance norms see one cube at a time, so any other
    network's result depends a little on where cubes lie; a larger overlap makes it less.

    Args:
        pixels: ``(slices, height, width)`` float32 in [0, 1], each side ``side`` or more.
        translate: from ``(n, side, side, side)`` in [0, 1] to the same.
        side: of a cube.
        overlap: share by which neighbouring cubes overlap at least, in [0, 1).

    Returns:
        float32 of the shape of ``pixels``.
    """
    total, weights = np.zeros(pixels.shape, np.float32), np.zeros(pixels.shape, np.float32)
    weight = _cube_weights(side)
    corners = list(itertools.product(*(cube_starts(length, side, overlap) for length in pixels.shape)))
    for corner in progress(corners, total=len(corners), words="translating cubes"):
        place = tuple(slice(start, start + side) for start in corner)
        cube = pixels[place]
        # What lies wholly outside the head is background, and a network's norms would make noise of it.
        made = translate(cube[None])[0] if cube.any() else np.zeros_like(cube)
        total[place] += weight * made
        weights[place] += weight
    return total / weights


def cube_starts(length: int, side: int, overlap: float) -> list[int]:
    """Where cubes begin along a side of a block: evenly, the first at its beginning, the last at its end."""
    if length < side:
        raise ValueError(f"a block of {length} voxels holds no cube of {side}")
    step = max(1, int(side * (1 - overlap)))
    count = int(np.ceil((length - side) / step)) + 1
    return np.linspace(0, length - side, count).round().astype(int).tolist()


def _cube_weights(side: int) -> np.ndarray:
    along = np.exp(-0.5 * ((np.arange(side) - (side - 1) / 2) / (_SIGMA * side)) ** 2)
    cube = along[:, None, None] * along[None, :, None] * along[None, None, :]
    return cube.astype(np.float32)
