"""Spectral normalisation with a seeded start, by TensorFlow Addons or by Keras, whichever this lane has."""

import functools
from collections.abc import Sequence

import tensorflow as tf

from common_tf.lanes import spectral_normalization_base


def spectral_normalization(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    """Wraps a layer so that its kernel is divided by its largest singular value (Miyato et al. 2018).

    The wrapper computes in float32 whatever the layer does: it writes the divided kernel back, which in half precision
    would round the weights themselves in every step.
    """
    return _seeded()(layer, dtype="float32")


@functools.cache
def _seeded() -> type[tf.keras.layers.Layer]:
    base, vector = spectral_normalization_base()

    class SpectralNormalization(base):  # type: ignore[valid-type, misc]
        """With a fixed first vector of the power iteration; the library's follows from no seed."""

        def build(self, input_shape: Sequence[int]) -> None:
            super().build(input_shape)
            start = getattr(self, vector)
            start.assign(tf.cast(tf.random.stateless_normal(start.shape, (0, 0), stddev=0.02), start.dtype))

    return SpectralNormalization
