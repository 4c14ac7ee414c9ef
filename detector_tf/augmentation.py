"""Random changes of training images that keep anatomy and the meaning of gray values.

Left-right flips, small rotations, shifts and zooms, brightness, contrast and noise. No upside-down flips, no quarter
turns, no colour: a head does not come that way.
"""

import contextlib
import functools
import io
from typing import Optional

import tensorflow as tf

from detector_tf.config import DetectorConfig

with contextlib.redirect_stdout(io.StringIO()):  # it announces its backend
    from keras_cv import layers as augmentations


class Augmentation:
    """keras-cv layers whose draws follow from (seed, step) alone, so that a continued run sees what it would have seen.

    keras-cv draws from generators with a state of their own, which no checkpoint holds. Geometric layers draw through
    an object with a method ``uniform``, photometric ones through a function ``factor``; here both are stateless.
    """

    def __init__(self, config: DetectorConfig):
        self._seed = config.seed
        self._noise = config.noise
        self._random = _StepRandom()
        # Black is outside; pixels between are interpolated.
        fill = dict(fill_mode="constant", fill_value=0.0)
        self._geometric, self._photometric = [], []
        if config.flip:
            self._geometric.append(augmentations.RandomFlip("horizontal"))
        if config.rotation:
            self._geometric.append(augmentations.RandomRotation(config.rotation / 360, **fill))
        if config.shift:
            self._geometric.append(augmentations.RandomTranslation(config.shift, config.shift, **fill))
        if config.zoom:
            self._geometric.append(augmentations.RandomZoom((-config.zoom, config.zoom), **fill))
        if config.contrast:
            self._photometric.append(augmentations.RandomBrightness(config.contrast, value_range=(0, 1)))
            self._photometric.append(augmentations.RandomContrast(value_range=(0, 1), factor=config.contrast))
        for layer in self._geometric:
            layer._random_generator = self._random
        for layer in self._photometric:
            low, high = layer.factor.lower, layer.factor.upper
            layer.factor = functools.partial(self._random.uniform, minval=low, maxval=high)

    def __call__(self, images: tf.Tensor, step: tf.Tensor, masks: Optional[tf.Tensor] = None):
        """Augments a batch.

        Args:
            images: ``(batch, size, size, channels)`` float32 in [0, 1].
            step: int64 scalar, the number of updates made before.
            masks: ``(batch, size, size, 1)`` float32 in {0, 1}; they move as the images do.

        Returns:
            The images, clipped to [0, 1]; with masks a pair.
        """
        self._random.start(self._seed, step)
        channels = images.shape[-1]
        stacked = images if masks is None else tf.concat([images, masks], axis=-1)
        for layer in self._geometric:
            stacked = layer(stacked, training=True)
        images = stacked[..., :channels]
        for layer in self._photometric:
            images = layer(images, training=True)
        if self._noise:
            images += self._random.normal(tf.shape(images), self._noise)
        images = tf.clip_by_value(images, 0.0, 1.0)
        return images if masks is None else (images, tf.cast(stacked[..., channels:] > 0.5, tf.float32))


class _StepRandom:
    """Random numbers that follow from a seed, a step and how many draws were made since `start`."""

    def start(self, seed: int, step: tf.Tensor) -> None:
        self._key = tf.stack([tf.constant(seed, tf.int64), step])
        self._draws = 0

    def _seed(self) -> tf.Tensor:
        self._draws += 1
        return tf.random.experimental.stateless_fold_in(self._key, self._draws)

    def uniform(self, shape, minval=0.0, maxval=1.0, dtype=None) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self._seed(), minval, maxval, dtype or tf.float32)

    def normal(self, shape, deviation: float) -> tf.Tensor:
        return tf.random.stateless_normal(shape, self._seed(), 0.0, deviation)
