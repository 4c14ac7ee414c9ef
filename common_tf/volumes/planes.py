"""Slices of a volume as people look at them, and the way back into the volume. Nothing is resampled here."""

from dataclasses import dataclass

import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from common_tf.volumes.volume import BadVolume, Volume

PLANES = {"axial": ("L", "P", "S"), "coronal": ("L", "I", "P"), "sagittal": ("P", "I", "L")}
"""Where columns, rows and slices of a picture run to in the patient: axial ones show the front at the top and the
patient's right on the left, as radiologists hang them."""


@dataclass(frozen=True)
class Slices:
    """A volume as pictures.

    Attributes:
        values: ``(n, height, width)`` float32, a view where that is possible.
        spacing: mm from row to row and from column to column.
        step: mm from slice to slice.
    """

    values: np.ndarray
    spacing: tuple[float, float]
    step: float

    def __len__(self) -> int:
        return len(self.values)


def slices_of(volume: Volume, plane: str = "axial") -> Slices:
    """The slices of a volume whose stored axes come nearest to a plane.

    Args:
        volume: uneven or tilted ones only where the plane is the stored one; see `needs_regular`.
        plane: of `PLANES`.
    """
    turn = ornt_transform(io_orientation(volume.affine), _wanted(plane))
    turned = apply_orientation(volume.voxels, turn)
    spacing = [0.0] * 3
    for axis, (place, _) in enumerate(turn):
        spacing[int(place)] = volume.spacing[axis]
    return Slices(turned.transpose(2, 1, 0), (spacing[1], spacing[0]), spacing[2])


def slices_on_grid(volume: Volume, plane: str = "axial") -> Slices:
    """`slices_of` where every slice is on the volume's own grid, so that what is made of it can go back there.

    Raises:
        BadVolume: slices that cut across uneven or tilted ones.
    """
    if needs_regular(volume, plane):
        raise BadVolume(
            f"its slices are not {plane} and lie unevenly or tilted, so {plane} ones would have to be resampled; save "
            "it on an even grid first"
        )
    return slices_of(volume, plane)


def voxels_of(values: np.ndarray, volume: Volume, plane: str = "axial") -> np.ndarray:
    """The way back of `slices_of`: ``(n, height, width)`` as the voxels of the volume's grid, ``(i, j, k)``."""
    turn = ornt_transform(_wanted(plane), io_orientation(volume.affine))
    return np.ascontiguousarray(apply_orientation(values.transpose(2, 1, 0), turn))


def needs_regular(volume: Volume, plane: str = "axial") -> bool:
    """Whether slices of this plane cut across stored ones that are not evenly placed at right angles."""
    return not volume.is_regular and int(io_orientation(volume.affine)[2][0]) != _world_axis(plane)


def _wanted(plane: str) -> np.ndarray:
    return axcodes2ornt(PLANES[plane])


def _world_axis(plane: str) -> int:
    """The axis of x, y, z along which the plane's slices follow each other."""
    return int(_wanted(plane)[2][0])
