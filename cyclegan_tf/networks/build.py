"""Networks by the names that a config uses."""

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.networks.discriminators import patch_discriminator
from cyclegan_tf.networks.generators import light_generator, resnet_generator, unet_generator
from cyclegan_tf.networks.projected import ProjectedCritic

RESNET_BLOCKS = {"resnet9": 9, "resnet6": 6}
"""Residual blocks of the ResNet generators that a config names."""


def build_generator(config: TranslatorConfig, *, seed: int, policy: str, name: str) -> tf.keras.Model:
    """The generator that a config names; see `cyclegan_tf.networks.generators`."""
    system = config.system
    common = dict(
        size=config.data.image_size,
        channels=config.data.image_channels,
        filters=system.generator_filters,
        seed=seed,
        policy=policy,
        name=name,
    )
    if system.generator == "unet":
        return unet_generator(tutorial_bottleneck=system.tutorial_bottleneck, **common)
    if system.generator == "light":
        return light_generator(**common)
    return resnet_generator(blocks=RESNET_BLOCKS[system.generator], **common)


def build_discriminator(
    config: TranslatorConfig, *, seed: int, policy: str, name: str, extra_channels: int = 0
) -> tf.keras.Model | ProjectedCritic:
    """The critic that a config names; see `cyclegan_tf.networks.discriminators` and `ProjectedCritic`.

    With ``critic_sees_outline`` it takes one more channel a slice, the mask of the head in [-1, 1];
    ``extra_channels`` are those of what it is conditioned on.
    """
    system = config.system
    if getattr(system, "critic", "patch") == "projected":
        return ProjectedCritic(
            size=config.data.image_size,
            channels=config.data.image_channels,
            filters=system.critic_filters,
            pixels=system.critic_pixels,
            seed=seed,
            policy=policy,
            name=name,
        )
    return patch_discriminator(
        size=config.data.image_size,
        channels=config.critic_channels + extra_channels,
        filters=system.discriminator_filters,
        form=system.discriminator,
        spectral_norm=system.spectral_norm,
        seed=seed,
        policy=policy,
        name=name,
    )
