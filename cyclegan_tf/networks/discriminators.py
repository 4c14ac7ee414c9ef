"""The 70x70 PatchGAN (Isola et al. 2017) in the two forms this project reproduces."""

import tensorflow as tf
from tensorflow.keras import layers

from cyclegan_tf.networks.layers import InstanceNormalization, Policy, SeedSequence
from cyclegan_tf.networks.spectral_normalization import spectral_normalization


def patch_discriminator(
    *,
    size: int,
    channels: int,
    filters: int = 64,
    form: str = "paper",
    spectral_norm: bool = False,
    seed: int = 0,
    policy: str = "float32",
    name: str,
) -> tf.keras.Model:
    """C64-C128-C256-C512-1: 4x4 convolutions, three of stride 2, two of stride 1, each logit sees 70x70 pixels.

    ``paper`` (Zhu et al. 2017): LeakyReLU .2, instance norm without affine parameters, bias everywhere, zero padding
    of one pixel; 2,764,737 parameters with 3 channels. ``tutorial`` (TensorFlow's): LeakyReLU .3, affine instance
    norm, bias only in the last layer, Keras' "same" padding in the strided layers; 2,765,569 parameters.

    Args:
        size: side of the images; 256 gives 30x30 logits.
        channels: image channels.
        filters: filters of the first layer.
        form: ``paper`` or ``tutorial``.
        spectral_norm: normalise every kernel by its spectral norm (Miyato et al. 2018).
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.

    Returns:
        A model from ``(batch, size, size, channels)`` to float32 logits ``(batch, h, w, 1)``; no sigmoid.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)
    tutorial = form == "tutorial"
    slope = 0.3 if tutorial else 0.2

    def convolution(x, width, strides, last=False):
        layer = layers.Conv2D(
            width,
            4,
            strides,
            padding="same" if tutorial and strides == 2 else "valid",
            use_bias=last or not tutorial,
            kernel_initializer=seeds.initializer(),
            dtype=dtype,
        )
        if layer.padding == "valid":
            x = layers.ZeroPadding2D(1, dtype=dtype)(x)
        return (spectral_normalization(layer) if spectral_norm else layer)(x)

    # === Functional model ===
    inputs = tf.keras.Input((size, size, channels))
    x = layers.LeakyReLU(slope, dtype=dtype)(convolution(inputs, filters, 2))
    for width, strides in ((2 * filters, 2), (4 * filters, 2), (8 * filters, 1)):
        x = convolution(x, width, strides)
        x = InstanceNormalization(affine=tutorial, seed=seeds.seed(), dtype=dtype)(x)
        x = layers.LeakyReLU(slope, dtype=dtype)(x)
    x = convolution(x, 1, 1, last=True)
    outputs = layers.Activation("linear", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)
