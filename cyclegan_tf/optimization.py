"""The learning-rate schedule and the averaged weights."""

import tensorflow as tf


@tf.keras.utils.register_keras_serializable("cyclegan_tf")
class LinearDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
    """A constant rate, then a straight line to 0 (Zhu et al. 2017: 100 epochs each), as a function of the step.

    Args:
        rate: the constant rate.
        total_steps: where the line reaches 0.
        decay_start: share of ``total_steps`` with the constant rate; 1 for no decay.
    """

    def __init__(self, *, rate: float, total_steps: int, decay_start: float):
        self.rate = rate
        self.total_steps = total_steps
        self.decay_start = decay_start

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        if self.decay_start >= 1:
            return tf.constant(self.rate, tf.float32)
        start = self.total_steps * self.decay_start
        passed = (tf.cast(step, tf.float32) - start) / (self.total_steps - start)
        return self.rate * (1.0 - tf.clip_by_value(passed, 0.0, 1.0))

    def get_config(self) -> dict:
        return {"rate": self.rate, "total_steps": self.total_steps, "decay_start": self.decay_start}


def update_average(average: tf.keras.Model, model: tf.keras.Model, *, decay: float, step: tf.Tensor) -> None:
    """Moves the average's weights towards the model's: ``w += (1 - d) (v - w)``.

    ``d = min(decay, (1 + step) / (10 + step))``, so that the first, untrained weights are soon forgotten.
    """
    step = tf.cast(step, tf.float32)
    share = 1.0 - tf.minimum(decay, (1.0 + step) / (10.0 + step))
    for old, new in zip(average.trainable_variables, model.trainable_variables):
        old.assign_add(share * (new - old))
