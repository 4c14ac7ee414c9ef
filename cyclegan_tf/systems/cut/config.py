"""CUT's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.runs.config import option
from cyclegan_tf.systems._options import ChosenCritics, Contrast, Generators, InputTies, OneSided, PairsBeside, Pool
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic


@dataclass(frozen=True)
class Config(OneSided, Contrast, InputTies, PairsBeside, Pool, ChosenCritics, Generators):
    """CUT's own options."""

    nce_identity_weight: float = option(
        0.0, "the same between a target image and its own output; halves both, as the authors do", minimum=0
    )
    flip_equivariance: bool = option(
        False, "flip half of the inputs; the output's features are flipped back and compared with the unflipped input's"
    )


_OWN = dict(pool_size=0, nce_weight=1.0, nce_identity_weight=1.0)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": _OWN,
    "paper": {**classic(Config), **_OWN, "epochs": 200, "generator": "resnet9", "outline_weight": 0.0},
    "field-strength": dict(FIELD_STRENGTH, **_OWN),
}
