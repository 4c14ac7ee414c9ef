"""What the training asks of a translation system."""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.networks.build import build_generator

Batch = Mapping[str, tf.Tensor]
"""``a`` and ``b``: ``(batch, size, size, channels)`` float32 in [-1, 1]; ``mask_a`` and ``mask_b``: the head, one
channel, 1 inside; see `common_tf.sources.pipeline`."""


class Translator(tf.Module):
    """A translation system: its networks, optimizers and losses, and all state that a checkpoint must hold.

    As a `tf.Module`, everything assigned to an attribute is saved and restored with it.

    Args:
        config: of the run.
        policy: Keras mixed-precision policy.
        total_steps: length of the training, for the schedules.
    """

    wants_pairs = False
    """Whether ``a`` and ``b`` of a batch must be aligned."""

    has_cycle = True
    """Whether both directions are trained to undo each other."""

    is_volumetric = False
    """Whether it learns from volumes as a whole: its images are cubes then, and have a depth before the height."""

    def __init__(self, config: TranslatorConfig, *, policy: str, total_steps: int):
        super().__init__(name=config.model)
        self.config, self.policy, self.total_steps = config, policy, total_steps

    @classmethod
    def check(cls, config: TranslatorConfig) -> None:
        """Raises `UserError` for what the system lacks, such as an extractor, before anything is written."""

    def train_step(self, batch: Batch, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update of every network.

        Args:
            batch: see `Batch`.
            step: int64 scalar, the number of updates made before; random draws follow from it.

        Returns:
            float32 scalars by name; all finite while training is healthy.
        """
        raise NotImplementedError

    def trained(self) -> Sequence[tf.Variable]:
        """The weights that are learned."""
        raise NotImplementedError

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        """The generators that inference uses, by direction; a one-sided system has one."""
        raise NotImplementedError

    def start_from(self, weights: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Gives the generators weights of `cyclegan_tf.start.start_weights`."""
        for direction, values in weights.items():
            self.inference_networks()[direction].set_weights(values)

    def translate(self, images: tf.Tensor, direction: str) -> tf.Tensor:
        """Translates images as inference does (averaged weights, no dropout).

        Args:
            images: ``(batch, size, size, channels)`` float32 in [-1, 1].
            direction: one of `cyclegan_tf.directions.DIRECTIONS`.

        Returns:
            A tensor of the same shape and range.
        """
        return self.inference_networks()[direction](images, training=False)

    def diagnostics(self, batch: Batch, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """What is too dear for every step; called with each validation. Empty where there is nothing to say."""
        return {}

    @classmethod
    def build_generator(cls, config: TranslatorConfig, *, seed: int, policy: str, name: str) -> tf.keras.Model:
        """A generator as the config has it, for systems that do not have their own form."""
        return build_generator(config, seed=seed, policy=policy, name=name)

    @classmethod
    def build_inference(cls, config: TranslatorConfig, *, policy: str) -> Mapping[str, tf.keras.Model]:
        """Untrained networks into which the weights of `inference_networks` can be loaded."""
        return {
            direction: cls.build_generator(config, seed=0, policy=policy, name=direction)
            for direction in config.directions
        }

    @classmethod
    def keeps_dropout(cls, config: TranslatorConfig) -> bool:
        """Whether inference draws noise by dropout, as pix2pix may."""
        return False
