"""Networks of UNIT in its NIPS 2017 form: encoders and decoders a domain, two residual blocks shared by both."""

from collections.abc import Mapping

import tensorflow as tf
from tensorflow.keras import layers

from cyclegan_tf.networks.layers import (
    InstanceNormalization,
    Policy,
    ReflectionPadding,
    SeedSequence,
    enlarging_convolution,
)

_BLOCKS = 3


def unit_parts(*, size: int, channels: int, filters: int, seed: int, policy: str) -> Mapping[str, tf.keras.Model]:
    """``encoder_a``, ``encoder_b``, ``shared_in``, ``shared_out``, ``decoder_a``, ``decoder_b``.

    Encoder: 7x7 convolution (LeakyReLU, no norm), two 3x3 of stride 2 with instance norm, three residual blocks; the
    latent map has a quarter of the side and four times the filters. ``shared_in`` is the encoders' last and
    ``shared_out`` the decoders' first residual block. Decoder: three blocks, two transposed 3x3 convolutions of
    stride 2, a 1x1 convolution, tanh.

    Args:
        size: side of the images; a multiple of 4.
        channels: image channels.
        filters: of the first layer; 64 in the paper's code.
        seed: of the weights.
        policy: Keras mixed-precision policy.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)
    latent = (size // 4, size // 4, 4 * filters)

    def convolution(x, width, kernel, strides=1, use_bias=True):
        if strides == 1:
            x = ReflectionPadding(kernel // 2, dtype=dtype)(x) if kernel > 1 else x
        else:
            x = layers.ZeroPadding2D(1, dtype=dtype)(x)
        initializer = seeds.initializer()
        return layers.Conv2D(width, kernel, strides, use_bias=use_bias, kernel_initializer=initializer, dtype=dtype)(x)

    def normalise(x):
        return InstanceNormalization(dtype=dtype)(x)

    def residual(x):
        branch = layers.ReLU(dtype=dtype)(normalise(convolution(x, x.shape[-1], 3)))
        return layers.Add(dtype=dtype)([x, normalise(convolution(branch, x.shape[-1], 3))])

    def encoder(name):
        inputs = tf.keras.Input((size, size, channels))
        x = layers.LeakyReLU(0.01, dtype=dtype)(convolution(inputs, filters, 7))
        for width in (2 * filters, 4 * filters):
            x = layers.ReLU(dtype=dtype)(normalise(convolution(x, width, 3, strides=2)))
        for _ in range(_BLOCKS):
            x = residual(x)
        return tf.keras.Model(inputs, x, name=name)

    def shared(name):
        inputs = tf.keras.Input(latent, dtype=dtype.compute_dtype)
        return tf.keras.Model(inputs, residual(inputs), name=name)

    def decoder(name):
        inputs = tf.keras.Input(latent, dtype=dtype.compute_dtype)
        x = inputs
        for _ in range(_BLOCKS):
            x = residual(x)
        for width in (2 * filters, filters):
            x = enlarging_convolution(x, width, initializer=seeds.initializer(), dtype=dtype)
            x = layers.ReLU(dtype=dtype)(normalise(x))
        outputs = layers.Activation("tanh", dtype="float32")(convolution(x, channels, 1))
        return tf.keras.Model(inputs, outputs, name=name)

    makers = (encoder, "encoder_a"), (encoder, "encoder_b"), (shared, "shared_in"), (shared, "shared_out")
    return {name: make(name) for make, name in (*makers, (decoder, "decoder_a"), (decoder, "decoder_b"))}


def joined(parts: Mapping[str, tf.keras.Model], source: str, target: str, *, name: str) -> tf.keras.Model:
    """Encoder of one domain, both shared blocks, decoder of the other: what inference uses. It adds no noise.

    Args:
        parts: from `unit_parts`.
        source, target: letters.
        name: of the model.
    """
    inputs = tf.keras.Input(parts["encoder_a"].inputs[0].shape[1:])
    latent = parts["shared_in"](parts[f"encoder_{source}"](inputs))
    return tf.keras.Model(inputs, parts[f"decoder_{target}"](parts["shared_out"](latent)), name=name)
