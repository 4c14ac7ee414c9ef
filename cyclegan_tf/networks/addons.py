"""The one door to TensorFlow Addons, whose last release is 0.23: a move to Keras 3 changes this file only."""

import warnings

import tensorflow as tf


def spectral_normalization(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    """Wraps a layer so that its kernel is divided by its largest singular value (Miyato et al. 2018)."""
    # Imported on use: it costs a second and prints its end of life, and most runs do not need it.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tensorflow_addons as tfa

    return tfa.layers.SpectralNormalization(layer, dtype=layer.dtype_policy)
