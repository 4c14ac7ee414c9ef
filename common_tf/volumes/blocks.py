"""A volume as a network of three dimensions sees it: cubic voxels, cut to the head; and the way back."""

from dataclasses import dataclass, replace

import numpy as np

from common_tf.pictures.head import head_mask
from common_tf.volumes.planes import slices_of, voxels_of
from common_tf.volumes.resampling import isotropic, resampled
from common_tf.volumes.volume import BadVolume, Volume

_MARGIN_MM = 8.0
_DARKEST = 1 / 255
"""Of what is inside the head: 0 is what is outside, as in `common_tf.pictures.preparation`."""


@dataclass(frozen=True)
class Block:
    """A prepared volume.

    Attributes:
        pixels: ``(slices, height, width)`` float32 in [0, 1], axial slices from the neck up.
        mask: of the same shape, bool, the head.
        corner: where the block's first voxel lies on the grid; negative where it reaches outside.
        grid: the cubic voxels that it was cut out of, as a volume.
        source: the volume that it was made of.
    """

    pixels: np.ndarray
    mask: np.ndarray
    corner: tuple[int, int, int]
    grid: Volume
    source: Volume


def take_block(
    volume: Volume, *, window: tuple[float, float], voxel_mm: float, side: int, framing: str = "head"
) -> Block:
    """Prepares a volume.

    Args:
        volume: any.
        window: values that are black and white.
        voxel_mm: side of a voxel.
        side: of a cube, which fits into every block.
        framing: ``head``: 0 outside the head; ``whole``: what is around it stays.

    Raises:
        BadVolume: no head in it.
    """
    grid, (low, high) = isotropic(volume, voxel_mm=voxel_mm), window
    scaled = np.clip((slices_of(grid).values - low) / (high - low), 0, 1)
    mask = np.stack([head_mask(one) for one in scaled])
    if not mask.any():
        raise BadVolume("no slice shows a head; are black and white right (--window)?")
    pixels = np.where(mask, np.maximum(scaled, _DARKEST), 0) if framing == "head" else scaled
    corner, shape = _box(mask, margin=int(np.ceil(_MARGIN_MM / voxel_mm)), side=side)
    place = Volume(np.broadcast_to(np.float32(0), grid.shape), grid.affine)
    return Block(_cut(pixels, corner, shape), _cut(mask, corner, shape), corner, place, volume)


def restore_block(values: np.ndarray, block: Block) -> np.ndarray:
    """The way back: translated pixels of a block on the grid of its volume.

    Args:
        values: of the shape of ``block.pixels``, in [0, 1].
        block: that they were made of.

    Returns:
        ``(i, j, k)`` float32 in [0, 1], 0 outside the block.
    """
    whole = np.zeros(slices_of(block.grid).values.shape, np.float32)
    inside, outside = _overlap(block.corner, values.shape, whole.shape)
    whole[outside] = values[inside]
    made = replace(block.grid, voxels=voxels_of(whole, block.grid))
    return resampled(made, block.source, beyond="nearest").voxels


def _box(mask: np.ndarray, *, margin: int, side: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Corner and shape of the head's box with a margin, a cube's side at least."""
    corner, shape = [], []
    for axis in range(3):
        found = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        length = max(side, int(found[-1] - found[0]) + 1 + 2 * margin)
        corner.append(int(found[0] + found[-1] + 1 - length) // 2)
        shape.append(length)
    return (corner[0], corner[1], corner[2]), (shape[0], shape[1], shape[2])


def _cut(values: np.ndarray, corner: tuple[int, int, int], shape: tuple[int, int, int]) -> np.ndarray:
    block = np.zeros(shape, values.dtype)
    inside, outside = _overlap(corner, shape, values.shape)
    block[inside] = values[outside]
    return block


def _overlap(corner, shape, whole) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part that block and grid share: in the block, in the grid."""
    first = [max(start, 0) for start in corner]
    last = [min(start + length, most) for start, length, most in zip(corner, shape, whole)]
    outside = tuple(slice(a, b) for a, b in zip(first, last))
    return tuple(slice(a - start, b - start) for a, b, start in zip(first, last, corner)), outside
