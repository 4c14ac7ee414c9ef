"""Schedules over the steps of a training."""

from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True)
class LinearDecay:
    """A constant rate, then a straight line to 0 (Zhu et al. 2017: 100 epochs each), as a function of the step.

    Attributes:
        rate: the constant rate.
        total_steps: where the line reaches 0.
        decay_start: share of ``total_steps`` with the constant rate; 1 for no decay.
    """

    rate: float
    total_steps: int
    decay_start: float

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """The rate of the update after ``step`` others, float32."""
        if self.decay_start >= 1:
            return tf.constant(self.rate, tf.float32)
        start = self.total_steps * self.decay_start
        passed = (tf.cast(step, tf.float32) - start) / (self.total_steps - start)
        return self.rate * (1.0 - tf.clip_by_value(passed, 0.0, 1.0))


def ramp(step: tf.Tensor, *, start: float, end: float, steps: float) -> tf.Tensor:
    """A value that moves on a straight line from ``start`` to ``end`` over the first ``steps`` steps and stays
    there.
    """
    if steps <= 0:
        return tf.constant(end, tf.float32)
    return start + (end - start) * tf.minimum(1.0, tf.cast(step, tf.float32) / steps)
