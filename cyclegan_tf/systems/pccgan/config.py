"""pCCGAN's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.runs.config import option
from cyclegan_tf.systems._options import ChosenCritics, Cycle, Identity, InputTies, OwnGenerators, PairsBeside, Pool
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic


@dataclass(frozen=True)
class Config(Identity, InputTies, Cycle, PairsBeside, Pool, ChosenCritics, OwnGenerators):
    """pCCGAN's own options."""

    dictionary_weight: float = option(1.0, "weight of the dictionary's error", minimum=0)


_OWN = dict(adversarial="bce", identity_weight=0.5, spectral_norm=True, generator_filters=16)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": _OWN,
    "paper": {
        **classic(Config),
        **_OWN,
        "epochs": 200,
        "generator_filters": 64,
        "identity_weight": 5.0,
    },
    "field-strength": dict(FIELD_STRENGTH, cycle_ramp=0.0, **_OWN),
}
