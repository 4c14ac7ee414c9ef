"""The one door to TensorFlow Addons, whose last release is 0.23: a move to Keras 3 changes this file only."""

import functools
import warnings
from typing import Sequence, Type

import tensorflow as tf


def spectral_normalization(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    """Wraps a layer so that its kernel is divided by its largest singular value (Miyato et al. 2018)."""
    return _spectral_normalization()(layer, dtype=layer.dtype_policy)


@functools.cache
def _spectral_normalization() -> Type[tf.keras.layers.Layer]:
    # Imported on use: it costs a second and prints its end of life, and most runs do not need it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa

    class SpectralNormalization(tfa.layers.SpectralNormalization):
        """With a fixed first vector of the power iteration; that of Addons follows from no seed."""

        def build(self, input_shape: Sequence[int]) -> None:
            super().build(input_shape)
            self.u.assign(tf.cast(tf.random.stateless_normal(self.u.shape, (0, 0), stddev=0.02), self.u.dtype))

    return SpectralNormalization
