"""What presets of several systems have in common."""

from collections.abc import Mapping
from typing import Any

from common_tf.runs.config import options_of

# What the notebook has of the paper it follows.
_CLASSIC: Mapping[str, Any] = dict(
    steps=0,
    generator_filters=64,
    discriminator_filters=64,
    identity_weight=5.0,
    cycle_weight=10.0,
    cycle_ramp=0.0,
    cycle_flips=False,
    outline_weight=0.0,
    learning_rate=2e-4,
    ema_decay=0.0,
    framing="whole",
    jitter=286 / 256,
    save_every=5,
    save_every_steps=0,
    keep_checkpoints=5,
)

# Czobit and Samavi 2024: two folders of one modality.
FIELD_STRENGTH: Mapping[str, Any] = dict(domains="MRI15T,MRI3T", phantom_pair="field-strength")

_OF_EVERY_TRAINING = (
    "steps", "learning_rate", "ema_decay", "framing", "jitter", "save_every", "save_every_steps", "keep_checkpoints",
)  # fmt: skip


def classic(system: type) -> dict[str, Any]:
    """The classic values of a system: those of every training, and those of options that it has."""
    mine = options_of(system)
    return {name: value for name, value in _CLASSIC.items() if name in mine or name in _OF_EVERY_TRAINING}
