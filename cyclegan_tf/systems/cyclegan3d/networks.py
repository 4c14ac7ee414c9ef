"""Generators and critic of `cyclegan_tf.networks` with a third dimension.

All take ``(batch, side, side, side, channels)`` in [-1, 1]: slices from the neck up, rows, columns.
"""

import tensorflow as tf
from tensorflow.keras import layers

from cyclegan_tf.networks.layers import (
    InstanceNormalization,
    Policy,
    ReflectionPadding,
    SeedSequence,
    enlarging_convolution,
)
from cyclegan_tf.networks.spectral_normalization import spectral_normalization


def light_generator_3d(
    *, side: int, channels: int, filters: int = 16, blocks: int = 4, seed: int = 0, policy: str = "float32", name: str
) -> tf.keras.Model:
    """The light generator in three dimensions: most of its work is done at an eighth of the resolution.

    4^3 stride-2 convolutions down, residual blocks of two 3^3 convolutions (TensorFlow has no depthwise ones of three
    dimensions), enlarging and 1^3 convolutions up, skips at each resolution. One channel and 16 filters: 2,705,121
    parameters.

    Args:
        side: of the cubes; a multiple of 8.
        channels: of the voxels.
        filters: at half resolution; four times as many at a quarter, six times at an eighth.
        blocks: residual blocks at an eighth.
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, kernel, strides=1, use_bias=True):
        initializer = tf.keras.initializers.HeNormal(seed=seeds.seed())
        return layers.Conv3D(
            width, kernel, strides, "same", use_bias=use_bias, kernel_initializer=initializer, dtype=dtype
        )(x)

    def norm_relu(x):
        return layers.ReLU(dtype=dtype)(normalise(x))

    def normalise(x):
        return InstanceNormalization(affine=True, seed=seeds.seed(), dtype=dtype)(x)

    def residual(x):
        width = x.shape[-1]
        branch = norm_relu(convolution(x, width, 3, use_bias=False))
        return layers.Add(dtype=dtype)([x, normalise(convolution(branch, width, 3, use_bias=False))])

    def enlarge(x):
        return layers.UpSampling3D(2, dtype=dtype)(x)

    # === Functional model ===
    inputs = tf.keras.Input((side, side, side, channels))
    x = layers.Rescaling(1.0, offset=1.0, dtype=dtype)(inputs)
    half = norm_relu(convolution(x, filters, 4, strides=2, use_bias=False))
    quarter = norm_relu(convolution(half, 4 * filters, 4, strides=2, use_bias=False))
    x = norm_relu(convolution(quarter, 6 * filters, 4, strides=2, use_bias=False))
    for _ in range(blocks):
        x = residual(x)
    x = layers.Add(dtype=dtype)([enlarge(convolution(x, 4 * filters, 1)), quarter])
    x = layers.ReLU(dtype=dtype)(convolution(residual(x), 2 * filters, 1))
    x = layers.Concatenate(dtype=dtype)([enlarge(x), half])
    x = norm_relu(convolution(x, filters, 3, use_bias=False))
    x = layers.Concatenate(dtype=dtype)([enlarge(convolution(x, filters // 2, 1)), inputs])
    x = convolution(layers.ReLU(dtype=dtype)(convolution(x, filters // 2, 3)), channels, 3)
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)


def resnet_generator_3d(
    *, side: int, channels: int, filters: int = 16, blocks: int = 9, seed: int = 0, policy: str = "float32", name: str
) -> tf.keras.Model:
    """The ResNet generator of Zhu et al. 2017 with cubes for squares, as the source has it: c7s1, d, d, blocks, u, u.

    One channel, 16 filters and 9 blocks: 2,141,185 parameters. Borders are mirrored as in two dimensions; the source
    repeats them.

    Args:
        side: of the cubes; a multiple of 4.
        channels: of the voxels.
        filters: of the first layer; the source has 64, which wants more than 20 GB a step.
        blocks: residual blocks.
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, kernel, strides=1):
        return layers.Conv3D(width, kernel, strides, kernel_initializer=seeds.initializer(), dtype=dtype)(x)

    def norm_relu(x):
        return layers.ReLU(dtype=dtype)(InstanceNormalization(dtype=dtype)(x))

    def reflect(x, padding):
        return ReflectionPadding(padding, dtype=dtype)(x)

    # === Functional model ===
    inputs = tf.keras.Input((side, side, side, channels))
    x = norm_relu(convolution(reflect(inputs, 3), filters, 7))
    for width in (2 * filters, 4 * filters):
        x = norm_relu(convolution(layers.ZeroPadding3D(1, dtype=dtype)(x), width, 3, strides=2))
    for _ in range(blocks):
        branch = norm_relu(convolution(reflect(x, 1), 4 * filters, 3))
        branch = InstanceNormalization(dtype=dtype)(convolution(reflect(branch, 1), 4 * filters, 3))
        x = layers.Add(dtype=dtype)([x, branch])
    for width in (2 * filters, filters):
        x = norm_relu(enlarging_convolution(x, width, initializer=seeds.initializer(), dtype=dtype))
    x = convolution(reflect(x, 3), channels, 7)
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)


def patch_discriminator_3d(
    *,
    side: int,
    channels: int,
    filters: int = 16,
    spectral_norm: bool = False,
    seed: int = 0,
    policy: str = "float32",
    name: str,
) -> tf.keras.Model:
    """The PatchGAN of Zhu et al. 2017 with 4^3 kernels: three convolutions of stride 2, two of stride 1.

    Args:
        side: of the cubes; 64 gives 6^3 logits, of which each sees 70 voxels in each direction.
        channels: of the voxels.
        filters: of the first layer.
        spectral_norm: normalise every kernel by its spectral norm (Miyato et al. 2018).
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.

    Returns:
        A model to float32 logits ``(batch, d, h, w, 1)``; no sigmoid.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, strides):
        x = layers.ZeroPadding3D(1, dtype=dtype)(x)
        layer = layers.Conv3D(width, 4, strides, kernel_initializer=seeds.initializer(), dtype=dtype)
        return (spectral_normalization(layer) if spectral_norm else layer)(x)

    # === Functional model ===
    inputs = tf.keras.Input((side, side, side, channels))
    x = layers.LeakyReLU(0.2, dtype=dtype)(convolution(inputs, filters, 2))
    for width, strides in ((2 * filters, 2), (4 * filters, 2), (8 * filters, 1)):
        x = InstanceNormalization(dtype=dtype)(convolution(x, width, strides))
        x = layers.LeakyReLU(0.2, dtype=dtype)(x)
    outputs = layers.Activation("linear", dtype="float32")(convolution(x, 1, 1))
    return tf.keras.Model(inputs, outputs, name=name)
