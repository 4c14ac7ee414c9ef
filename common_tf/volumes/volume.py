"""One scan, as the project hands it around."""

from dataclasses import dataclass, replace

import numpy as np

from common_tf.pictures.readers import BadPicture

HOUNSFIELD = "HU"
AIR = -1024.0
"""Hounsfield units of what is outside the field of view; the usual lowest value of a CT."""

LARGEST_VOXELS = 2**29
"""Of one volume, 2 GB as float32; larger files are refused before they are decoded."""

_EVEN = 1e-2
_RIGHT_ANGLE = 1e-3
_SAME_GRID = 1e-3


class BadVolume(BadPicture):
    """A file or series that cannot be used; the message says why."""


@dataclass(frozen=True)
class Volume:
    """Voxels with what they mean and where they are.

    Attributes:
        voxels: ``(i, j, k)`` float32 in physical units. Of a DICOM series i counts columns, j rows and k slices.
        affine: ``(4, 4)`` float64 from indices to the voxel's centre in mm, RAS+: x grows to the patient's right, y to
            the front, z to the head. With a gantry tilt its columns are not at right angles. Of uneven slices it is
            that of their mean spacing, and ``positions`` says more.
        positions: ``(k, 3)`` float64, where voxel (0, 0, k) lies, in mm, RAS+; ``None`` where the affine says it to
            within a hundredth of a millimetre.
        unit: ``HU``, or ``""`` where the values have none.
        modality: ``CT``, ``MR`` or what else DICOM calls it; ``""`` where nobody says.
        frame_of_reference: UID of the space that mm are in; ``""`` where nobody says.
    """

    voxels: np.ndarray
    affine: np.ndarray
    positions: np.ndarray | None = None
    unit: str = ""
    modality: str = ""
    frame_of_reference: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j and k."""
        i, j, k = self.voxels.shape
        return i, j, k

    @property
    def spacing(self) -> tuple[float, float, float]:
        """mm from voxel to voxel along i, j and k (the mean along k where slices are uneven)."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @property
    def is_even(self) -> bool:
        """Whether the affine says where every slice is."""
        return self.positions is None

    @property
    def is_tilted(self) -> bool:
        """Whether slices are shifted against each other, as with a gantry tilt."""
        i, j, k = (self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)).T
        return max(abs(i @ j), abs(i @ k), abs(j @ k)) > _RIGHT_ANGLE

    @property
    def is_regular(self) -> bool:
        """Whether it is an even grid at right angles, as planes other than the stored ones want it."""
        return self.is_even and not self.is_tilted

    @property
    def voxel_ml(self) -> np.ndarray:
        """``(k,)`` float64, what one voxel of each slice holds in millilitres.

        A slice reaches half-way to its neighbours along the normal, the first and the last as far outwards as inwards;
        so uneven slices have each their own.
        """
        sides = self.affine[:3, :3].copy()
        normal = np.cross(sides[:, 0], sides[:, 1])  # as long as the face of a voxel is large
        if self.positions is None:
            return np.full(self.shape[2], abs(normal @ sides[:, 2]) / 1000)
        steps = np.abs(np.diff(self.positions @ normal))
        return (np.append(steps[:1], steps) + np.append(steps, steps[-1:])) / 2 / 1000

    def world(self, indices: np.ndarray) -> np.ndarray:
        """Where voxels lie.

        Args:
            indices: ``(..., 3)`` of i, j, k, perhaps between voxels.

        Returns:
            ``(..., 3)`` float64 in mm, RAS+.
        """
        indices = np.asarray(indices, np.float64)
        if self.positions is None:
            return indices @ self.affine[:3, :3].T + self.affine[:3, 3]
        k = np.arange(len(self.positions))
        first = np.stack([np.interp(indices[..., 2], k, axis) for axis in self.positions.T], axis=-1)
        return first + indices[..., :2] @ self.affine[:3, :2].T

    def with_voxels(self, voxels: np.ndarray, *, unit: str, modality: str) -> "Volume":
        """Other values on the same grid."""
        if voxels.shape != self.shape:
            raise ValueError(f"voxels of {voxels.shape} do not fit a grid of {self.shape}")
        return replace(self, voxels=np.asarray(voxels, np.float32), unit=unit, modality=modality)


def one_line(error: Exception) -> str:
    """What a library says of a damaged file, short and without line breaks."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def same_grid(first: Volume, second: Volume) -> bool:
    """Whether voxels of the same indices lie at the same places, to a thousandth of a millimetre."""
    if first.shape != second.shape or (first.positions is None) != (second.positions is None):
        return False
    if first.positions is not None and np.abs(first.positions - second.positions).max() > _SAME_GRID:
        return False
    return bool(np.abs(first.affine - second.affine).max() < _SAME_GRID)


def placed(columns: np.ndarray, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The affine of slices, and their positions where the affine does not say it all.

    Args:
        columns: ``(3, 2)``, the steps in mm along i and j.
        positions: ``(k, 3)`` of voxel (0, 0, k), in mm, in order; at least two.
    """
    affine = np.eye(4)
    affine[:3, :2] = columns
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 3] = positions[0]
    along = positions[0] + np.arange(len(positions))[:, None] * affine[:3, 2]
    return affine, None if np.abs(along - positions).max() < _EVEN else positions


def refuse_size(shape: tuple[int, ...]) -> None:
    """Refuses more voxels than fit in memory, before any is decoded.

    Raises:
        BadVolume: too many, or a side of none.
    """
    if min(shape) < 1:
        raise BadVolume(f"a grid of {' x '.join(map(str, shape))} voxels holds nothing")
    if np.prod(shape, dtype=np.float64) > LARGEST_VOXELS:
        raise BadVolume(f"{' x '.join(map(str, shape))} voxels are too many; at most {LARGEST_VOXELS:,} are read")


def refuse_values(voxels: np.ndarray) -> None:
    """Refuses what shows nothing.

    Raises:
        BadVolume: fewer than two slices, or one value everywhere.
    """
    if min(voxels.shape) < 2:
        raise BadVolume(f"{' x '.join(map(str, voxels.shape))} voxels are one slice; a volume has at least two")
    low, high = float(voxels.min()), float(voxels.max())
    if low == high:
        raise BadVolume(f"constant (every voxel is {low:g})")
