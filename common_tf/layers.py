"""Layers that networks of any wing may hold."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf

from common_tf.replicas import replicas


class CountedDropout(tf.keras.layers.Layer):
    """Dropout whose masks follow from a seed and a counter of its calls.

    Keras' own dropout draws from a hidden generator that no checkpoint restores, so a resumed run would differ from an
    uninterrupted one.

    Args:
        rate: share of the activations set to zero; the rest is scaled by ``1 / (1 - rate)``.
        seed: of this layer.
    """

    def __init__(self, rate: float, *, seed: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = rate
        self.seed_number = seed

    def build(self, input_shape: Sequence[int]) -> None:
        # Held by a Checkpoint, the counter is saved and restored with training but is no weight of the network.
        self._calls = tf.train.Checkpoint(count=tf.Variable(0, dtype=tf.int64, trainable=False))
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, training: Any = None) -> tf.Tensor:
        if not training:
            return inputs
        seed = tf.stack([tf.constant(self.seed_number, tf.int64), self._calls.count.read_value()])
        self._calls.count.assign_add(1)
        draws = replicas().drawn(lambda shape: tf.random.stateless_uniform(shape, seed), tf.shape(inputs))
        return tf.where(draws >= self.rate, inputs / (1 - self.rate), tf.zeros_like(inputs))

    def get_config(self) -> dict:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed_number}


class ReverseChannels(tf.keras.layers.Layer):
    """RGB to BGR."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reverse(inputs, axis=[-1])


@contextlib.contextmanager
def global_policy(name: str) -> Iterator[None]:
    """Keras' applications take the global mixed-precision policy only."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
