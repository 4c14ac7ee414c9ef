"""FastCUT's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic
from cyclegan_tf.systems.cut.config import Config as CUTConfig


@dataclass(frozen=True)
class Config(CUTConfig):
    """CUT's options; no identity part, and flips."""


_OWN = dict(pool_size=0, nce_weight=1.0, flip_equivariance=True)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": _OWN,
    "paper": {
        **classic(Config),
        **_OWN,
        "epochs": 200,
        "generator": "resnet9",
        "outline_weight": 0.0,
        "nce_weight": 10.0,
    },
    "field-strength": dict(FIELD_STRENGTH, **_OWN),
}
