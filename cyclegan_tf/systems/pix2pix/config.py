"""pix2pix's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.errors import UserError
from common_tf.runs.config import option
from cyclegan_tf.systems._options import Critics, Generators, OneSided
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic


@dataclass(frozen=True)
class Config(OneSided, Critics, Generators):
    """pix2pix's own options."""

    l1_weight: float = option(100.0, "weight of the L1 distance to the truth", minimum=0)
    test_dropout: bool = option(
        False, "keep the U-Net's dropout when translating, as in the paper", needs="generator=unet"
    )


_OWN = dict(adversarial="bce")

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": _OWN,
    "paper": dict(classic(Config), epochs=200, generator="unet", **_OWN),
    "field-strength": dict(FIELD_STRENGTH, **_OWN),
}


def check(config: Any) -> None:
    """Raises `UserError` for options that mean nothing to aligned pairs of pictures."""
    data = config.data
    if data.neighbours:
        raise UserError(f"--set neighbours={data.neighbours}: --model pix2pix learns from pairs, which have none")
