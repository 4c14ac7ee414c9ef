"""Rigid registration of two volumes of one head, by SimpleITK (an extra: ``pip install .[register]``)."""

from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import isotropic
from common_tf.volumes.volume import BadVolume, Volume
from common_tf.volumes.windows import head_range

_VOXEL_MM = 2.0
_CT_RANGE = -200.0, 400.0
_BINS, _SMALLEST_STEP = 48, 1e-3
_RATES = 4.0, 2.0
_STEPS = 200
_FARTHEST_MM, _FARTHEST_DEGREES = 150.0, 60.0


@dataclass(frozen=True)
class Registered:
    """A volume that was moved onto another.

    Attributes:
        volume: the same voxels with another affine (and positions).
        moved_mm: how far the middle of the other volume's grid moved.
        turned_degrees: about one axis.
    """

    volume: Volume
    moved_mm: float
    turned_degrees: float

    @property
    def words(self) -> str:
        """What a person should know of it."""
        return f"registered by a rigid motion of {self.moved_mm:.1f} mm and {self.turned_degrees:.1f} degrees"


def register_rigid(moving: Volume, fixed: Volume) -> Registered:
    """Moves a volume so that it shows the same head in the same place as another.

    Mutual information (Mattes et al. 2003) of both on cubic voxels of 2 mm, from coarse to fine, started with the
    middles of what is bright one on the other. Nothing is resampled: the result has another affine. It is the same
    each time, to rounding.

    Args:
        moving: is moved.
        fixed: stays.

    Raises:
        BadVolume: SimpleITK is missing, or no motion is found that heads in scanners need.
    """
    sitk = _package()
    images = [_image(sitk, volume) for volume in (fixed, moving)]
    start = sitk.CenteredTransformInitializer(
        *images, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.MOMENTS
    )
    try:
        for rate in _RATES:  # the later ones find what an early end of the first has left
            _optimise(sitk, images, start, rate)
    except RuntimeError as error:
        raise BadVolume(f"cannot be registered ({' '.join(str(error).split())[-160:]})") from error
    motion = _matrix(start)
    middle = fixed.world(np.array(fixed.shape) / 2)
    moved = float(np.linalg.norm((motion @ np.append(middle, 1.0))[:3] - middle))
    turned = float(np.degrees(np.arccos(np.clip((np.trace(motion[:3, :3]) - 1) / 2, -1, 1))))
    found = Registered(_moved(moving, np.linalg.inv(motion)), moved, turned)
    if turned > _FARTHEST_DEGREES or moved > _FARTHEST_MM + _distance(fixed, moving):
        raise BadVolume(f"cannot be registered: {found.words} is more than two scans of a head differ")
    return found


def _optimise(sitk: ModuleType, images: list, transform, rate: float) -> None:
    """Improves a transform in place."""
    # Sums of several threads come in any order, and the descent ends elsewhere, by some tenths of a millimetre.
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=_BINS)
    method.SetMetricSamplingStrategy(method.NONE)  # all voxels: of a third of them some heads end 5 mm off
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=rate, minStep=_SMALLEST_STEP, numberOfIterations=_STEPS, relaxationFactor=0.7
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(*images)


def _package() -> ModuleType:
    try:
        import SimpleITK
    except ImportError as error:
        raise BadVolume("--register rigid wants a further package: pip install SimpleITK") from error
    return SimpleITK


def _image(sitk: ModuleType, volume: Volume):
    """On cubic voxels and in one range, as an image in RAS+ millimetres: ITK only wants both in one space."""
    coarse = isotropic(volume, voxel_mm=_VOXEL_MM)
    low, high = _CT_RANGE if volume.modality == "CT" or volume.unit else head_range(slices_of(coarse))
    scaled = np.clip((coarse.voxels - low) / (high - low), 0, 1)
    image = sitk.GetImageFromArray(np.ascontiguousarray(scaled.transpose(2, 1, 0)))
    directions = coarse.affine[:3, :3] / np.linalg.norm(coarse.affine[:3, :3], axis=0)
    image.SetSpacing([float(one) for one in coarse.spacing])
    image.SetOrigin([float(one) for one in coarse.affine[:3, 3]])
    image.SetDirection(directions.ravel().tolist())
    return image


def _matrix(transform) -> np.ndarray:
    """``(4, 4)``, from the fixed volume's millimetres to the moving one's."""
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, shift = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    motion = np.eye(4)
    motion[:3, :3] = rotation
    motion[:3, 3] = centre + shift - rotation @ centre
    return motion


def _moved(volume: Volume, motion: np.ndarray) -> Volume:
    positions = volume.positions
    if positions is not None:
        positions = positions @ motion[:3, :3].T + motion[:3, 3]
    return replace(volume, affine=motion @ volume.affine, positions=positions)


def _distance(one: Volume, other: Volume) -> float:
    """Between the middles of two grids: scans in spaces of their own may lie far apart."""
    middles = [volume.world(np.array(volume.shape) / 2) for volume in (one, other)]
    return float(np.linalg.norm(middles[0] - middles[1]))
