"""The values of a volume on another grid, by trilinear interpolation."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from scipy import ndimage

from common_tf.volumes.planes import needs_regular
from common_tf.volumes.volume import AIR, HOUNSFIELD, Volume

_AT_ONCE = 2**22
_ROUNDING = 1e-3


def regular(volume: Volume) -> Volume:
    """The volume on an even grid at right angles, over the whole of the scan.

    Steps along i and j stay, that along k is the median of the steps between slices, across them. A volume that is
    regular is given back as it is.
    """
    if volume.is_regular:
        return volume
    columns = volume.affine[:3, :2]
    normal = np.cross(columns[:, 0], columns[:, 1])
    normal /= np.linalg.norm(normal)
    origins = volume.world(np.stack([np.zeros(n := volume.shape[2]), np.zeros(n), np.arange(n)], axis=-1))
    heights = origins @ normal
    if heights[-1] < heights[0]:
        normal, heights = -normal, -heights
    step = float(np.median(np.diff(heights)))
    # Tilted slices are shifted against each other; the grid holds all of them.
    shifts = np.linalg.lstsq(columns, (origins - origins[0]).T, rcond=None)[0]
    low, high = np.floor(shifts.min(axis=1)), np.ceil(shifts.max(axis=1))
    affine = np.eye(4)
    affine[:3, :2], affine[:3, 2] = columns, step * normal
    affine[:3, 3] = origins[0] + columns @ low
    width, height = (int(side + more) for side, more in zip(volume.shape[:2], high - low))
    slices = int(np.floor((heights[-1] - heights[0]) / step + 1e-6)) + 1
    return resampled(volume, empty_grid(affine, (width, height, slices)))


def on_planes(volume: Volume, planes: Sequence[str]) -> tuple[Volume, list[str]]:
    """The volume as its slices are taken in some planes: itself, or `regular` where a plane wants that.

    Args:
        volume: any.
        planes: of `common_tf.volumes.planes.PLANES`.

    Returns:
        The volume, and the planes for which it had to be resampled.
    """
    uneven = [plane for plane in planes if needs_regular(volume, plane)]
    return (regular(volume) if uneven else volume), uneven


def isotropic(volume: Volume, *, voxel_mm: float) -> Volume:
    """The volume on a grid of cubic voxels along its own axes, from its first voxel to its last or a little beyond.

    Axes are turned to right, front and up first, so that the grid does not depend on how the volume is stored. Where
    voxels become larger, a Gaussian of half the growth (in old voxels) comes before, so that noise does not alias.

    Args:
        volume: any; uneven or tilted ones become `regular` first.
        voxel_mm: side of a voxel.
    """
    even = _turned(regular(volume))
    factors = voxel_mm / np.array(even.spacing)
    affine = even.affine.copy()
    affine[:3, :3] *= factors
    counts = (int(np.ceil((count - 1) / factor - 1e-6)) + 1 for count, factor in zip(even.shape, factors))
    smooth = ndimage.gaussian_filter(even.voxels, np.maximum(0, (factors - 1) / 2), mode="nearest")
    grid = empty_grid(affine, tuple(counts))  # type: ignore[arg-type]
    return resampled(replace(even, voxels=smooth), grid, beyond="nearest")


def _turned(volume: Volume) -> Volume:
    """The same voxels along the axes that are nearest to right, front and up."""
    turn = io_orientation(volume.affine)
    voxels = np.ascontiguousarray(apply_orientation(volume.voxels, turn))
    return replace(volume, voxels=voxels, affine=volume.affine @ inv_ornt_aff(turn, volume.shape))


def empty_grid(affine: np.ndarray, shape: tuple[int, int, int]) -> Volume:
    """A grid to resample onto; its voxels take no memory."""
    return Volume(np.broadcast_to(np.float32(0), shape), np.array(affine, float))


def resampled(volume: Volume, grid: Volume, *, order: int = 1, beyond: str = "air") -> Volume:
    """The volume on another grid of the same space.

    Args:
        volume: any.
        grid: where the voxels are wanted; uneven slices as well.
        order: 1 for trilinear interpolation, 0 for the nearest voxel, as labels want it.
        beyond: what is outside the old grid: ``air`` (its lowest value where the unit is not HU), or ``nearest``, the
            values at its border.
    """
    outside = AIR if volume.unit == HOUNSFIELD else float(volume.voxels.min())
    voxels = np.empty(grid.shape, np.float32)
    flat = voxels.reshape(-1)
    mode = "constant" if beyond == "air" else beyond
    # In parts: coordinates are six times as large as the values.
    for start in range(0, flat.size, _AT_ONCE):
        chosen = np.arange(start, min(start + _AT_ONCE, flat.size))
        indices = np.stack(np.unravel_index(chosen, grid.shape), axis=-1)
        found = _onto_border(indices_of(volume, grid.world(indices)), volume.shape)
        flat[chosen] = ndimage.map_coordinates(volume.voxels, found.T, order=order, mode=mode, cval=outside)
    return replace(volume, voxels=voxels, affine=grid.affine, positions=grid.positions)


def _onto_border(indices: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Places that rounding alone puts outside lie on the border: interpolation knows no tolerance there."""
    last = np.array(shape) - 1
    indices = np.where((indices < 0) & (indices > -_ROUNDING), 0, indices)
    return np.where((indices > last) & (indices < last + _ROUNDING), last, indices)


def indices_of(volume: Volume, world: np.ndarray) -> np.ndarray:
    """The way back of `Volume.world`: ``(..., 3)`` mm as i, j, k, between voxels; outside beyond the ends."""
    if volume.positions is None:
        inverse = np.linalg.inv(volume.affine)
        return world @ inverse[:3, :3].T + inverse[:3, 3]
    columns = volume.affine[:3, :2]
    normal = np.cross(columns[:, 0], columns[:, 1])
    normal /= np.linalg.norm(normal)
    heights = volume.positions @ normal
    sign = 1.0 if heights[-1] > heights[0] else -1.0
    number = np.arange(len(heights), dtype=float)
    height = sign * (world @ normal)
    k = np.interp(height, sign * heights, number)
    # Beyond the first and last slice there is nothing; np.interp would stay on them.
    margin = 1e-6 * abs(heights[-1] - heights[0])
    beyond = (height < (sign * heights).min() - margin) | (height > (sign * heights).max() + margin)
    k = np.where(beyond, -2.0, k)
    first = np.stack([np.interp(k, number, axis) for axis in volume.positions.T], axis=-1)
    in_plane = (world - first) @ np.linalg.pinv(columns).T
    return np.concatenate([in_plane, k[..., None]], axis=-1)
