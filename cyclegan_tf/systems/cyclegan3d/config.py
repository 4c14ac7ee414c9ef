"""3-D CycleGAN's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.errors import UserError
from common_tf.runs.config import option
from cyclegan_tf.systems._options import CycleWeight, Game, Identity, Outline, Pool
from cyclegan_tf.systems._presets import classic


@dataclass(frozen=True)
class Config(Identity, Outline, CycleWeight, Pool, Game):
    """3-D CycleGAN's own options; ``--image-size`` is the side of its cubes in voxels."""

    generator: str = option("light", "generator network", choices=("light", "resnet9", "resnet6"))
    generator_filters: int = option(16, "filters of the generator's first layer", minimum=2)
    discriminator_filters: int = option(16, "filters of the discriminator's first layer", minimum=1)
    spectral_norm: bool = option(False, "spectral normalisation in the discriminator")
    voxel_mm: float = option(1.6, "side of a voxel, to which volumes are resampled", minimum=0.3, maximum=8)
    cubes_per_volume: int = option(8, "cubes that are cut out of a volume at random in an epoch", minimum=1)
    overlap: float = option(0.75, "share by which the cubes of a translation overlap", minimum=0, maximum=0.9)


_OWN: Mapping[str, Any] = dict(image_size=64, jitter=1.0, validation_images=32)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Voxels so large that a cube holds most of a head: with 1.6 mm bone went where the scalp is (docs/volumes.md).
    "fast": dict(_OWN, voxel_mm=2.5, steps=1500, validate_every_steps=250, pool_size=0, ema_decay=0.99),
    # davidiommi/3D-CycleGan-Pytorch-MedImaging: 200 epochs and 200 of linear decay, ResNet-9, pool 50. Its cubes are
    # 128 x 128 x 64 and its first layer has 64 filters, which wants more than 20 GB.
    "source": {
        **classic(Config), **_OWN, "epochs": 400, "batch_size": 2, "generator": "resnet9", "generator_filters": 16,
        "discriminator_filters": 16,
    },
}  # fmt: skip


def check(config: Any) -> None:
    """Raises `UserError` for options of slices that mean nothing to volumes."""
    data = config.data
    if data.jitter != 1:
        raise UserError(f"--set jitter={data.jitter:g}: --model cyclegan3d cuts its cubes at random; leave it at 1")
    if data.plane != "axial":
        raise UserError(f"--set plane={data.plane}: --model cyclegan3d sees all planes at once; leave it out")
    if data.neighbours:
        raise UserError(f"--set neighbours={data.neighbours}: --model cyclegan3d sees all neighbours; leave it out")
    if data.slice_mm:
        raise UserError(f"--set slice_mm={data.slice_mm:g}: --model cyclegan3d sees all slices; leave it out")
    if data.shows:
        raise UserError(
            f"--set shows={data.shows}: is for pictures of 8 bits, and --model cyclegan3d learns from volumes"
        )
