"""The augmentations where keras-cv is not to be had (it needs Keras 2), with its draws and its pictures.

`tests/detector_tf/test_inputs.py` compares the two.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from detector_tf.sections import AugmentationSection

Change = Callable[[tf.Tensor], tf.Tensor]
"""From ``(batch, height, width, channels)`` to the same."""


class Random(Protocol):
    """Where the draws come from."""

    def uniform(
        self, shape: Sequence[int] | tf.Tensor, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None
    ) -> tf.Tensor:
        """Uniform numbers."""


def geometric(config: AugmentationSection, random: Random) -> list[Change]:
    """Changes that move pixels: flips left-right, rotations, shifts, zooms. What comes from outside is black."""
    changes: list[Change] = []
    if config.flip:
        changes.append(lambda images: _flip(images, random))
    if config.rotation:
        changes.append(lambda images: _rotate(images, random, math.radians(config.rotation)))
    if config.shift:
        changes.append(lambda images: _shift(images, random, config.shift))
    if config.zoom:
        changes.append(lambda images: _zoom(images, random, config.zoom))
    return changes


def photometric(config: AugmentationSection, random: Random) -> list[Change]:
    """Changes of gray values in [0, 1]: brightness, contrast about the mean."""
    if not config.contrast:
        return []
    most = config.contrast
    return [lambda images: _brighten(images, random, most), lambda images: _stretch(images, random, most)]


def _flip(images: tf.Tensor, random: Random) -> tf.Tensor:
    turned = random.uniform((tf.shape(images)[0], 1)) > 0.5
    return tf.where(turned[:, :, tf.newaxis, tf.newaxis], tf.reverse(images, [2]), images)


def _rotate(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    """About the centre."""
    angles = random.uniform([tf.shape(images)[0]], -most, most)
    cos, sin = tf.cos(angles), tf.sin(angles)
    right, bottom = _last(images)
    return _moved(
        images,
        cos,
        -sin,
        (right - (cos * right - sin * bottom)) / 2,
        sin,
        cos,
        (bottom - (sin * right + cos * bottom)) / 2,
    )


def _shift(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    """By a share of the sides, along each."""
    count = tf.shape(images)[0]
    down = random.uniform([count, 1], -most, most)[:, 0]
    across = random.uniform([count, 1], -most, most)[:, 0]
    right, bottom = _last(images)
    one, zero = tf.ones([count]), tf.zeros([count])
    return _moved(images, one, zero, -across * (right + 1), zero, one, -down * (bottom + 1))


def _zoom(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    """About the centre, alike in both axes."""
    zooms = random.uniform([tf.shape(images)[0], 1], 1 - most, 1 + most)[:, 0]
    right, bottom = _last(images)
    zero = tf.zeros_like(zooms)
    return _moved(images, zooms, zero, right / 2 * (1 - zooms), zero, zooms, bottom / 2 * (1 - zooms))


def _brighten(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    return tf.clip_by_value(images + random.uniform((tf.shape(images)[0], 1, 1, 1), -most, most), 0.0, 1.0)


def _stretch(images: tf.Tensor, random: Random, most: float) -> tf.Tensor:
    factors = random.uniform((tf.shape(images)[0], 1, 1, 1), 1 - most, 1 + most)
    means = tf.reduce_mean(images, axis=(1, 2), keepdims=True)
    return tf.clip_by_value((images - means) * factors + means, 0.0, 1.0)


def _last(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Coordinates of the last column and row."""
    shape = tf.cast(tf.shape(images), tf.float32)
    return shape[2] - 1, shape[1] - 1


def _moved(images: tf.Tensor, *rows: tf.Tensor) -> tf.Tensor:
    """Bilinear: the output's (x, y) shows the input's (a x + b y + c, d x + e y + f).

    Args:
        images: ``(batch, height, width, channels)``.
        rows: a to f, each ``(batch,)``.
    """
    zero = tf.zeros_like(rows[0])
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([*rows, zero, zero], axis=1),
        output_shape=tf.shape(images)[1:3],
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )
    moved.set_shape(images.shape)
    return moved
