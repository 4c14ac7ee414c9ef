"""What the training loop asks of a translation system."""

from typing import Mapping

import tensorflow as tf

A_TO_B, B_TO_A = "a_to_b", "b_to_a"
DIRECTIONS = (A_TO_B, B_TO_A)


class Translator(tf.Module):
    """A translation system: its networks, optimizers and losses, and all state that a checkpoint must hold.

    As a `tf.Module`, everything assigned to an attribute is saved and restored with it.
    """

    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update of every network.

        Args:
            batch: ``a`` and ``b``, each ``(batch, size, size, channels)`` float32 in [-1, 1].
            step: int64 scalar, the number of updates made before; random draws follow from it.

        Returns:
            float32 scalars by name; all finite while training is healthy.
        """
        raise NotImplementedError

    def translate(self, images: tf.Tensor, direction: str) -> tf.Tensor:
        """Translates images as inference does (averaged weights, no dropout).

        Args:
            images: ``(batch, size, size, channels)`` float32 in [-1, 1].
            direction: one of `DIRECTIONS`.

        Returns:
            A tensor of the same shape and range.
        """
        return self.inference_networks()[direction](images, training=False)

    def inference_networks(self) -> Mapping[str, tf.keras.Model]:
        """The generators that inference uses, by direction."""
        raise NotImplementedError
