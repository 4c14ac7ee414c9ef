"""CycleGAN in three dimensions: the same game on cubes cut out of volumes."""

import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.networks.build import RESNET_BLOCKS
from cyclegan_tf.systems.cyclegan.system import System as CycleGAN
from cyclegan_tf.systems.cyclegan3d.networks import (
    light_generator_3d,
    patch_discriminator_3d,
    resnet_generator_3d,
)


class System(CycleGAN):
    """`cyclegan_tf.systems.cyclegan` whose images are cubes of an even grid.

    Volumes are translated by a sliding window whose cubes overlap (`cyclegan_tf.sliding_window`).
    """

    is_volumetric = True

    @classmethod
    def build_generator(cls, config: TranslatorConfig, *, seed: int, policy: str, name: str) -> tf.keras.Model:
        system, data = config.system, config.data
        common = dict(
            side=data.image_size,
            channels=data.image_channels,
            filters=system.generator_filters,
            seed=seed,
            policy=policy,
            name=name,
        )
        if system.generator == "light":
            return light_generator_3d(**common)
        return resnet_generator_3d(blocks=RESNET_BLOCKS[system.generator], **common)

    @classmethod
    def build_critic(cls, config: TranslatorConfig, *, seed: int, policy: str, name: str) -> tf.keras.Model:
        system, data = config.system, config.data
        return patch_discriminator_3d(
            side=data.image_size,
            channels=config.critic_channels,
            filters=system.discriminator_filters,
            spectral_norm=system.spectral_norm,
            seed=seed,
            policy=policy,
            name=name,
        )
