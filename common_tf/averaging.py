"""Averaged weights for inference."""

import tensorflow as tf


def update_average(average: tf.keras.Model, model: tf.keras.Model, *, decay: float, step: tf.Tensor) -> None:
    """Moves the average's weights towards the model's: ``w += (1 - d) (v - w)``.

    ``d = min(decay, (1 + step) / (10 + step))``, so that the first, untrained weights are soon forgotten.
    """
    step = tf.cast(step, tf.float32)
    share = 1.0 - tf.minimum(decay, (1.0 + step) / (10.0 + step))
    for old, new in zip(average.trainable_variables, model.trainable_variables):
        old.assign_add(share * (new - old))
