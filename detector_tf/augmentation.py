"""Random changes of training images that keep anatomy and the meaning of gray values.

Left-right flips, small rotations, shifts and zooms, brightness, contrast and noise. No upside-down flips, no quarter
turns, no colour: a head does not come that way.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from common_tf.lanes import HAS_KERAS_CV
from common_tf.randomness import Stream
from detector_tf.sections import AugmentationSection

if HAS_KERAS_CV:
    from detector_tf.keras_cv_layers import geometric, photometric
else:
    from detector_tf.augmentation_layers import geometric, photometric

_DRAWS = Stream("detector.augmentation")


class Augmentation:
    """Changes whose draws follow from (seed, step) alone, so that a continued run sees what it would have seen."""

    def __init__(self, config: AugmentationSection, *, seed: int):
        self._noise = config.noise
        self._random = _StepRandom(seed)
        self._geometric = geometric(config, self._random)
        self._photometric = photometric(config, self._random)

    def __call__(
        self, images: tf.Tensor, step: tf.Tensor, masks: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Augments a batch.

        Args:
            images: ``(batch, size, size, channels)`` float32 in [0, 1].
            step: int64 scalar, the number of updates made before.
            masks: ``(batch, size, size, 1)`` float32 in {0, 1}; they move as the images do.

        Returns:
            The images, clipped to [0, 1], and the masks.
        """
        self._random.start(step)
        channels = images.shape[-1]
        stacked = images if masks is None else tf.concat([images, masks], axis=-1)
        for change in self._geometric:
            stacked = change(stacked)
        images = stacked[..., :channels]
        for change in self._photometric:
            images = change(images)
        if self._noise:
            images += self._random.normal(tf.shape(images), self._noise)
        images = tf.clip_by_value(images, 0.0, 1.0)
        return images, None if masks is None else tf.cast(stacked[..., channels:] > 0.5, tf.float32)


class _StepRandom:
    """Random numbers that follow from a seed, a step and how many draws were made since `start`."""

    def __init__(self, seed: int):
        self._seed = seed

    def start(self, step: tf.Tensor) -> None:
        self._step, self._draws = step, 0

    def uniform(
        self, shape: Sequence[int] | tf.Tensor, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None
    ) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self._key(), minval, maxval, dtype or tf.float32)

    def normal(self, shape: Sequence[int] | tf.Tensor, deviation: float) -> tf.Tensor:
        return tf.random.stateless_normal(shape, self._key(), 0.0, deviation)

    def _key(self) -> tf.Tensor:
        self._draws += 1
        return _DRAWS.tensor(self._seed, self._step, self._draws)
