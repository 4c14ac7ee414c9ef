"""Drawn heads in three dimensions: an aligned CT in HU, an MRI, a lesion and a head mask from one seed.

Schematic like the drawn slices of `common_tf.pictures.phantom`, and continuous from slice to slice: the skull keeps its
thickness, ventricles and lesion begin and end. Anatomy lives in millimetres and does not depend on the grid; noise
belongs to the voxel.

    python -m common_tf.volumes.phantom FOLDER --patients 6 --format dicom

writes ``trainA/`` with CT and ``trainB/`` with MRI of other patients, and ``pairs/`` with both of one.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scipy import ndimage

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import refuse_used
from common_tf.volumes.dicom.writing import write_series
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.volume import HOUNSFIELD, Volume

FIELD_OF_VIEW = (192.0, 232.0, 160.0)
"""Of a drawn head, in mm along x (right), y (front) and z (up)."""

_HU = {"air": -1000.0, "scalp": 0.0, "bone": 1150.0, "marrow": 480.0, "fluid": 8.0, "gray": 39.0, "white": 30.0}
_MRI = {"air": 0.0, "scalp": 620.0, "bone": 50.0, "marrow": 200.0, "fluid": 930.0, "gray": 500.0, "white": 300.0}
_TISSUES = tuple(_HU)
_AIR, _SCALP, _BONE, _MARROW, _FLUID, _GRAY, _WHITE = range(len(_TISSUES))
_LESIONS = ((56.0, 800.0), (70.0, 660.0), (14.0, 970.0))  # slightly dense, bleeding, cystic
_FIELD_CELL = 4.0  # mm; fields are drawn on this grid and interpolated


@dataclass(frozen=True)
class HeadVolume:
    """One drawn head; all on one grid.

    Attributes:
        ct: in HU.
        mri: T2-weighted, 0 to about 1000.
        lesion: ``(i, j, k)`` bool, empty where there is none.
        head: ``(i, j, k)`` bool, scalp and everything inside it.
    """

    ct: Volume
    mri: Volume
    lesion: np.ndarray
    head: np.ndarray


def draw_head(
    seed: int, *, spacing: tuple[float, float, float] = (2.0, 2.0, 4.0), lesion_probability: float = 0.5
) -> HeadVolume:
    """Draws one head over `FIELD_OF_VIEW`, from the skull's base to above the vertex.

    Args:
        seed: any non-negative integer.
        spacing: mm along x, y and z.
        lesion_probability: chance of a lesion in the brain.
    """
    random, noise = (np.random.default_rng([stream, seed]) for stream in (20261126, 20261127))
    shape = tuple(int(round(length / step)) for length, step in zip(FIELD_OF_VIEW, spacing))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-(count - 1) / 2 * step for count, step in zip(shape[:2], spacing)] + [-45.0]
    grid = np.meshgrid(
        *(np.arange(n) * step + start for n, step, start in zip(shape, spacing, affine[:3, 3])), indexing="ij"
    )
    x, y, z = _head_coordinates(random, grid)
    radius = np.sqrt(x**2 + y**2 + z**2)
    outline = 1 + 0.02 * _field(random, shape, spacing, 45)
    scalp = random.uniform(0.05, 0.08) * (1 + 0.15 * _field(random, shape, spacing, 30))
    skull = random.uniform(0.07, 0.10) * (1 + 0.15 * _field(random, shape, spacing, 30))
    cortex = _field(random, shape, spacing, 4) + 0.5 * _field(random, shape, spacing, 9)
    skull_outer, skull_inner = outline - scalp, outline - scalp - skull
    depth = skull_inner - random.uniform(0.012, 0.03) - radius

    tissue = np.full(shape, _AIR, np.uint8)
    head = radius < outline
    tissue[head] = _SCALP
    tissue[radius < skull_outer] = _BONE
    tissue[(radius < skull_outer - 0.34 * skull) & (radius > skull_inner + 0.30 * skull)] = _MARROW
    tissue[radius < skull_inner] = _FLUID
    brain = (depth > 0) & (np.abs(x) > 0.012)
    tissue[brain] = _GRAY
    tissue[brain & (depth > 0.085 + 0.05 * cortex) & (np.abs(x) > 0.05)] = _WHITE
    tissue[brain & (depth < 0.18) & (cortex > 1.0 + 4 * depth)] = _FLUID
    _draw_inside(random, tissue, x, y, z, brain)
    lesion, edema, kind = _lesion(random, x, y, z, brain, cortex, lesion_probability)

    hu, mri = (np.array([values[name] for name in _TISSUES])[tissue] for values in (_HU, _MRI))
    fat = random.uniform(0.25, 0.75)
    hu[tissue == _SCALP], mri[tissue == _SCALP] = 55 - 145 * fat, 300 + 550 * fat
    hu += edema * (22 - hu)
    mri += edema * (740 - mri)
    hu[lesion], mri[lesion] = _LESIONS[kind]
    sigma = [0.8 / step for step in spacing]
    hu, mri = ndimage.gaussian_filter(hu, sigma), ndimage.gaussian_filter(mri, sigma)
    hu += 18 * np.clip(radius - 0.35, 0, 0.5) * (radius < skull_inner)  # beam hardening beside the skull
    hu += noise.uniform(3, 6) * noise.standard_normal(shape) * (0.3 + 0.7 * head)
    bias = 1 + noise.uniform(0.03, 0.12) * (x * noise.uniform(-1, 1) + y * noise.uniform(-1, 1))
    level = noise.uniform(10, 25)
    mri = np.hypot(
        mri * bias * noise.uniform(0.9, 1.05) + level * noise.standard_normal(shape),
        level * noise.standard_normal(shape),
    )
    frame = generate_uid(entropy_srcs=["drawn", str(seed)])
    ct_volume = Volume(np.clip(np.round(hu), -1024, 3071).astype(np.float32), affine, None, HOUNSFIELD, "CT", frame)
    return HeadVolume(ct_volume, Volume(np.round(mri).astype(np.float32), affine, None, "", "MR", frame), lesion, head)


def _head_coordinates(random: np.random.Generator, grid: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Coordinates in which the head is about the unit ball: turned a little, longer than wide."""
    turn = np.deg2rad(random.normal(0, 3))
    x, y = grid[0] * np.cos(turn) + grid[1] * np.sin(turn), grid[1] * np.cos(turn) - grid[0] * np.sin(turn)
    halves = random.uniform(68, 76), random.uniform(86, 96), random.uniform(88, 98)
    x, y, z = (axis / half for axis, half in zip((x, y, grid[2]), halves))
    # The back of a head is broader than its forehead.
    return [x / (1 - 0.06 * y), y, z]


def _field(random: np.random.Generator, shape, spacing, length: float) -> np.ndarray:
    """A smooth random field of unit variance whose features measure ``length`` mm, the same on every grid."""
    cells = [int(np.ceil(extent / _FIELD_CELL)) + 2 for extent in FIELD_OF_VIEW]
    field = ndimage.gaussian_filter(random.standard_normal(cells), length / _FIELD_CELL / 2, mode="wrap")
    field /= field.std()
    places = [np.arange(n) * step / _FIELD_CELL for n, step in zip(shape, spacing)]
    for axis, place in enumerate(places):
        low = np.minimum(place.astype(int), field.shape[axis] - 2)
        share = (place - low).reshape([-1 if other == axis else 1 for other in range(3)])
        field = field.take(low, axis) * (1 - share) + field.take(low + 1, axis) * share
    return field


def _draw_inside(random: np.random.Generator, tissue: np.ndarray, x, y, z, brain) -> None:
    """Ventricles and deep gray matter."""
    swelling = random.uniform(0.8, 1.4)
    for side in (-1, 1):
        s = side * x
        nucleus = _ball(s, y, z, (0.30, 0.05, 0.05), (0.12, 0.20, 0.16))
        tissue[brain & (nucleus < 1)] = _GRAY
        front = _ball(s - 0.25 * (y - 0.27), y, z, (0.11, 0.25, 0.16), (0.06 * swelling, 0.22, 0.12 * swelling))
        back = _ball(s + 0.30 * (y + 0.34), y, z, (0.20, -0.34, 0.16), (0.07 * swelling, 0.20, 0.11 * swelling))
        for horn in (front, back):
            tissue[brain & (horn < 1)] = _FLUID
    tissue[brain & (_ball(x, y, z, (0.0, 0.0, -0.02), (0.03 * swelling, 0.14, 0.14)) < 1)] = _FLUID


def _lesion(random: np.random.Generator, x, y, z, brain, cortex, probability: float):
    """A lobed ball on one side of the midline, the soft edema around it in [0, 1], and its kind."""
    wanted, kind = random.uniform() < probability, int(random.integers(len(_LESIONS)))
    angle, height, distance = random.uniform(0, 2 * np.pi), random.uniform(-0.1, 0.45), random.uniform(0.25, 0.55)
    centre = np.array([distance * np.cos(angle), distance * np.sin(angle), height])
    extent, share = random.uniform(0.10, 0.24), random.uniform(0.2, 1.0)
    if not wanted:
        return np.zeros(brain.shape, bool), np.zeros(brain.shape), kind
    lobed = _ball(x, y, z, centre, (extent, extent * random.uniform(0.8, 1.2), extent)) ** 0.5 + 0.12 * cortex
    lesion = (lobed < 1) & brain & (x * centre[0] > 0)
    return lesion, share * np.clip(1.9 - lobed, 0, 1) * brain * ~lesion, kind


def _ball(x, y, z, centre, halves) -> np.ndarray:
    """Below 1 inside an ellipsoid."""
    return sum(((axis - middle) / half) ** 2 for axis, middle, half in zip((x, y, z), centre, halves))


def write_drawn(folder: Path, volume: Volume, *, name: str, as_dicom: bool) -> Path:
    """Writes a drawn volume as ``name.nii.gz``, or as the series ``name/``, of a patient who is called Phantom."""
    folder.mkdir(parents=True, exist_ok=True)
    if not as_dicom:
        path = folder / f"{name}.nii.gz"
        write_nifti(path, volume, description="drawn head")
        return path
    source = Dataset()
    source.PatientName, source.PatientID, source.PatientPosition = "Phantom", name, "HFS"
    source.StudyInstanceUID = generate_uid(entropy_srcs=["drawn study", name])
    source.FrameOfReferenceUID = volume.frame_of_reference
    (folder / name).mkdir(exist_ok=True)
    write_series(folder / name, volume, source, description="drawn head", derivation="drawn", keep_identity=True)
    return folder / name


def main(argv: Sequence[str] | None = None) -> None:
    """Writes drawn patients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="that is not there yet")
    parser.add_argument("--patients", type=int, default=6, help="of either domain (default: %(default)s)")
    parser.add_argument("--format", choices=("nifti", "dicom"), default="nifti", help="default: %(default)s")
    parser.add_argument("--spacing", default="2,2,4", help="mm along x, y and z (default: %(default)s)")
    arguments = parser.parse_args(argv)
    refuse_used(arguments.folder, flag="FOLDER")
    try:
        spacing = tuple(float(part) for part in arguments.spacing.split(","))
    except ValueError:
        spacing = ()
    if len(spacing) != 3 or min(spacing) < 0.5:
        raise UserError(f"--spacing {arguments.spacing}: wants three lengths of at least 0.5 mm, such as 2,2,4")
    as_dicom, count = arguments.format == "dicom", arguments.patients
    for seed in range(count):
        write_drawn(
            arguments.folder / "trainA", draw_head(seed, spacing=spacing).ct, name=f"ct{seed:03d}", as_dicom=as_dicom
        )
        mri = draw_head(1000 + seed, spacing=spacing).mri
        write_drawn(arguments.folder / "trainB", mri, name=f"mri{seed:03d}", as_dicom=as_dicom)
        both = draw_head(2000 + seed, spacing=spacing)
        for kind, volume in (("CT", both.ct), ("MRI", both.mri)):
            write_drawn(arguments.folder / "pairs" / f"p{seed:03d}", volume, name=kind, as_dicom=as_dicom)
        marked = replace(both.mri, voxels=both.lesion.astype(np.float32))
        for name, volume in (("mri", both.mri), ("mri_mask", marked)):
            write_drawn(arguments.folder / "lesions" / f"p{seed:03d}", volume, name=name, as_dicom=False)
    print(f"{count} CT, {count} MRI, {count} pairs and {count} MRI with lesion masks (NIfTI) in {arguments.folder}")


if __name__ == "__main__":
    sys.exit(run_script(main))
