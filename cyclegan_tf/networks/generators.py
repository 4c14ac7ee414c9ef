"""Generators: ResNet-6/9 (Zhu et al. 2017), the TensorFlow tutorial's U-Net, and a light one for the CPU.

All map ``(batch, size, size, channels)`` in [-1, 1] to the same shape and range; the output is always float32.
"""

import tensorflow as tf
from tensorflow.keras import layers

from common_tf.layers import CountedDropout
from cyclegan_tf.networks.layers import (
    InstanceNormalization,
    Policy,
    ReflectionPadding,
    SeedSequence,
    enlarging_convolution,
)


def resnet_generator(
    *, size: int, channels: int, filters: int = 64, blocks: int = 9, seed: int = 0, policy: str = "float32", name: str
) -> tf.keras.Model:
    """The ResNet generator of Zhu et al. 2017: c7s1-64, d128, d256, ``blocks`` x R256, u128, u64, c7s1-3.

    Reflection padding, instance norm without affine parameters, bias in every convolution, no ReLU after the residual
    addition, as in the authors' code. 9 blocks and 3 channels: 11,378,179 parameters; 6 blocks: 7,837,699.

    Args:
        size: side of the images; a multiple of 4.
        channels: image channels.
        filters: filters of the first layer.
        blocks: residual blocks; 9 at 256 px, 6 at 128 px in the paper.
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, kernel, strides=1, padding="valid"):
        initializer = seeds.initializer()
        return layers.Conv2D(width, kernel, strides, padding, kernel_initializer=initializer, dtype=dtype)(x)

    def norm_relu(x):
        return layers.ReLU(dtype=dtype)(InstanceNormalization(dtype=dtype)(x))

    def reflect(x, padding):
        return ReflectionPadding(padding, dtype=dtype)(x)

    # === Functional model ===
    inputs = tf.keras.Input((size, size, channels))
    x = norm_relu(convolution(reflect(inputs, 3), filters, 7))
    for width in (2 * filters, 4 * filters):
        # PyTorch pads (1, 1) where Keras' "same" would pad (0, 1).
        x = norm_relu(convolution(layers.ZeroPadding2D(1, dtype=dtype)(x), width, 3, strides=2))
    for _ in range(blocks):
        branch = norm_relu(convolution(reflect(x, 1), 4 * filters, 3))
        branch = InstanceNormalization(dtype=dtype)(convolution(reflect(branch, 1), 4 * filters, 3))
        x = layers.Add(dtype=dtype)([x, branch])
    for width in (2 * filters, filters):
        x = norm_relu(enlarging_convolution(x, width, initializer=seeds.initializer(), dtype=dtype))
    x = convolution(reflect(x, 3), channels, 7)
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)


def unet_generator(
    *,
    size: int,
    channels: int,
    filters: int = 64,
    tutorial_bottleneck: bool = False,
    seed: int = 0,
    policy: str = "float32",
    name: str,
) -> tf.keras.Model:
    """The U-Net generator of the TensorFlow CycleGAN tutorial (after Isola et al. 2017), with instance norm.

    4x4 stride-2 convolutions down to 1x1, transposed ones up, concatenated skips, dropout .5 in the three innermost
    up blocks, LeakyReLU .3 (Keras' old default, which the tutorial uses). At 256 px and 3 channels with the tutorial's
    bottleneck: 54,414,979 parameters.

    The tutorial normalises the 1x1 bottleneck too, which makes it dead: the norm of one pixel is its offset, so the
    deepest level carries no image and its 4.19 M weights get no gradient. ``tutorial_bottleneck=False`` mends that.

    Args:
        size: side of the images; a power of two from 16 up, or a multiple of 256.
        channels: image channels.
        filters: filters of the first layer; the widest have 8 times as many.
        tutorial_bottleneck: keep the dead bottleneck, for a faithful reproduction.
        seed: of the weights and of the dropout.
        policy: Keras mixed-precision policy.
        name: the model's name.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)
    depth = min(8, size.bit_length() - 1)
    widths = [filters * min(8, 2**level) for level in range(depth)]

    def normalise(x):
        skip = not tutorial_bottleneck
        return InstanceNormalization(affine=True, skip_single_pixel=skip, seed=seeds.seed(), dtype=dtype)(x)

    def options():
        return dict(strides=2, padding="same", kernel_initializer=seeds.initializer(), dtype=dtype)

    # === Functional model ===
    inputs = tf.keras.Input((size, size, channels))
    x, skips = inputs, []
    for level, width in enumerate(widths):
        x = layers.Conv2D(width, 4, use_bias=False, **options())(x)
        if level:
            x = normalise(x)
        x = layers.LeakyReLU(0.3, dtype=dtype)(x)
        skips.append(x)
    for level, (width, skip) in enumerate(zip(reversed(widths[:-1]), reversed(skips[:-1]))):
        x = normalise(layers.Conv2DTranspose(width, 4, use_bias=False, **options())(x))
        if level < 3:
            x = CountedDropout(0.5, seed=seeds.seed(), dtype=dtype)(x)
        x = layers.Concatenate(dtype=dtype)([layers.ReLU(dtype=dtype)(x), skip])
    x = layers.Conv2DTranspose(channels, 4, **options())(x)
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)


def light_generator(
    *, size: int, channels: int, filters: int = 32, blocks: int = 4, seed: int = 0, policy: str = "float32", name: str
) -> tf.keras.Model:
    """A generator of 0.9 million parameters that trains on a laptop's CPU.

    A small U-shape of separable residual blocks (depthwise 3x3, pointwise): one at a quarter of the resolution,
    ``blocks`` at an eighth, where a pixel sees most of a head and can tell bone from bright tissue, and one at a
    quarter again. The way up is nearest-neighbour resizing followed by a convolution, which leaves neither the
    checkerboard of transposed convolutions nor the dots of a final depth-to-space. Skips from a half and a quarter and
    from the input itself keep edges where they are. Kernels of strided convolutions are 4x4: with odd ones each halving
    moves the picture by half a pixel against the enlarging, 3.5 pixels in all, and a cycle does not see two generators
    that move it to and fro. The network works on images shifted to [0, 2], where zero padding is black background.

    Args:
        size: side of the images; a multiple of 8.
        channels: image channels.
        filters: filters at half resolution; four times as many at a quarter, six times at an eighth.
        blocks: residual blocks at an eighth.
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, kernel, strides=1, use_bias=True):
        initializer = tf.keras.initializers.HeNormal(seed=seeds.seed())
        return layers.Conv2D(
            width, kernel, strides, "same", use_bias=use_bias, kernel_initializer=initializer, dtype=dtype
        )(x)

    def depthwise(x):
        initializer = tf.keras.initializers.HeNormal(seed=seeds.seed())
        return layers.DepthwiseConv2D(
            3, padding="same", use_bias=False, depthwise_initializer=initializer, dtype=dtype
        )(x)

    def normalise(x):
        return InstanceNormalization(affine=True, seed=seeds.seed(), dtype=dtype)(x)

    def relu(x):
        return layers.ReLU(dtype=dtype)(x)

    def residual(x):
        width = x.shape[-1]
        branch = relu(normalise(convolution(depthwise(x), width, 1, use_bias=False)))
        branch = normalise(convolution(depthwise(branch), width, 1, use_bias=False))
        return layers.Add(dtype=dtype)([x, branch])

    def enlarge(x):
        return layers.UpSampling2D(2, dtype=dtype)(x)

    # === Functional model ===
    inputs = tf.keras.Input((size, size, channels))
    x = layers.Rescaling(1.0, offset=1.0, dtype=dtype)(inputs)
    half = relu(normalise(convolution(x, filters, 4, strides=2, use_bias=False)))
    quarter = residual(relu(normalise(convolution(half, 4 * filters, 4, strides=2, use_bias=False))))
    x = relu(normalise(convolution(quarter, 6 * filters, 4, strides=2, use_bias=False)))
    for _ in range(blocks):
        x = residual(x)
    x = layers.Add(dtype=dtype)([enlarge(convolution(x, 4 * filters, 1)), quarter])
    x = relu(convolution(residual(x), 2 * filters, 1))
    x = layers.Concatenate(dtype=dtype)([enlarge(x), half])
    x = relu(normalise(convolution(x, filters, 3, use_bias=False)))
    x = layers.Concatenate(dtype=dtype)([enlarge(convolution(x, filters // 2, 1)), inputs])
    x = convolution(relu(convolution(x, filters // 2, 3)), channels, 3)
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model(inputs, outputs, name=name)
