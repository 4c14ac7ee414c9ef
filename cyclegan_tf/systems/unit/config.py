"""UNIT's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.runs.config import option
from cyclegan_tf.systems._options import ChosenCritics, Cycle, InputTies, OwnGenerators, PairsBeside, Pool
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic


@dataclass(frozen=True)
class Config(InputTies, Cycle, PairsBeside, Pool, ChosenCritics, OwnGenerators):
    """UNIT's own options."""

    reconstruction_weight: float = option(100.0, "weight of the reconstruction within a domain", minimum=0)
    kl_weight: float = option(0.1, "weight of the mean square of the latent maps", minimum=0)


_OWN = dict(adversarial_weight=10.0, cycle_weight=100.0, outline_weight=100.0, pool_size=0, generator_filters=16)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": dict(_OWN, cycle_weight_start=10.0),
    "paper": {
        **classic(Config),
        **_OWN,
        "epochs": 200,
        "adversarial": "bce",
        "generator_filters": 64,
        "learning_rate": 1e-4,
        "outline_weight": 0.0,
        "cycle_ramp": 0.0,
    },
    "field-strength": dict(FIELD_STRENGTH, cycle_ramp=0.0, **_OWN),
}
