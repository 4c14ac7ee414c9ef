"""Cycle-MedGAN's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.errors import UserError
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic
from cyclegan_tf.systems.cyclegan.config import Config as CycleGANConfig


@dataclass(frozen=True)
class Config(CycleGANConfig):
    """CycleGAN's options; features and style have weights."""


_OWN = dict(perceptual_weight=0.3, style_weight=0.1)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": _OWN,
    "paper": dict(classic(Config), epochs=200, generator="resnet9", perceptual_weight=1.0, style_weight=0.1),
    "field-strength": dict(FIELD_STRENGTH, cycle_ramp=0.0, **_OWN),
}


def check(config: Any) -> None:
    """Raises `UserError` where a weight is missing that makes it what it is."""
    if not (config.system.perceptual_weight and config.system.style_weight):
        raise UserError(
            "--model medgan: wants --set perceptual_weight= and style_weight= above 0; without them it is cyclegan"
        )
