"""CycleGAN's options and presets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common_tf.runs.config import option
from cyclegan_tf.systems._options import (
    ChosenCritics,
    Contrast,
    Cycle,
    Generators,
    Identity,
    InputTies,
    PairsBeside,
    Pool,
)
from cyclegan_tf.systems._presets import FIELD_STRENGTH, classic


@dataclass(frozen=True)
class Config(Contrast, Identity, InputTies, Cycle, PairsBeside, Pool, ChosenCritics, Generators):
    """CycleGAN's own options."""

    log_style: str = option("bar", "progress bar, or the notebook's log lines", choices=("bar", "notebook"))


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "fast": {},
    # Critics on frozen features, at half the weight of the PatchGAN's game; edges keep in place what they would move.
    "projected": dict(
        critic="projected",
        adversarial="hinge",
        adversarial_weight=0.5,
        pool_size=0,
        critic_learning_rate=2e-4,
        edge_weight=0.6,
    ),
    # Zhu et al. 2017: ResNet-9, 70x70 PatchGAN, LSGAN, pool 50, 100 epochs at 2e-4 and 100 of linear decay.
    "paper": dict(classic(Config), epochs=200, generator="resnet9"),
    # The Kaggle notebook: see docs/notebook.md for what is kept of it and which two faults are not.
    "notebook": dict(
        classic(Config),
        epochs=50,
        channels=3,
        generator="unet",
        discriminator="tutorial",
        tutorial_bottleneck=True,
        adversarial="bce",
        pool_size=0,
        decay_start=1.0,
        epoch_length="shortest",
        log_style="notebook",
    ),
    # Duval, Fillioux, Saubert: SSIM and features in place of the L1 cycle. Their generator's encoder and their
    # critic (one logit an image) are ResNet-18 of ImageNet; here both are this project's, the rest is theirs.
    "dlmi": dict(
        generator="unet",
        generator_filters=32,
        adversarial="bce",
        cycle_weight=0.0,
        cycle_ramp=0.0,
        cycle_flips=False,
        outline_weight=0.0,
        perceptual_weight=1.5,  # theirs: three layers of .5 each; ours: mean over layers, each normalised
        ssim_cycle_weight=0.5,
        learning_rate=1e-4,
        critic_learning_rate=1e-3,
        critic_share=0.25,
        beta_1=0.9,
        decay_start=1.0,
        batch_size=2,
        pool_size=0,
        ema_decay=0.0,
        jitter=1.0,
    ),
    # The identity is nearly right here: the cycle is strong at once.
    "field-strength": dict(FIELD_STRENGTH, cycle_ramp=0.0),
}
