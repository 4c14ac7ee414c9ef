"""Layers that Keras lacks, or has slower."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from common_tf.randomness import Stream

Policy = tf.keras.mixed_precision.Policy

# The fused kernel refuses anything at or below 1e-5, the value that PyTorch and the TensorFlow tutorial use.
_SMALLEST_FUSED_EPSILON = 1.001e-5
_LAYERS = Stream("network.layers")


def normal_initializer(seed: int) -> tf.keras.initializers.Initializer:
    """N(0, 0.02), the initialiser of Zhu et al. 2017 and of the pix2pix line."""
    return tf.keras.initializers.RandomNormal(0.0, 0.02, seed=seed)


class SeedSequence:
    """Hands out a new seed for each layer, so that a model is a function of one number.

    Args:
        seed: of the model; the layers' seeds are drawn from it, so those of two models have nothing in common.
    """

    def __init__(self, seed: int):
        self._seed, self._count = seed, 0

    def initializer(self) -> tf.keras.initializers.Initializer:
        """The next layer's weight initialiser."""
        return normal_initializer(self.seed())

    def seed(self) -> int:
        """The next layer's seed."""
        self._count += 1
        return _LAYERS.integer(self._seed, self._count)


class InstanceNormalization(tf.keras.layers.Layer):
    """Instance normalisation (Ulyanov et al. 2016) through the fused batch-norm kernel.

    Batch norm in training mode over a batch of one *is* instance norm, and its fused kernel is several times faster
    on the CPU than the generic formula, forwards and backwards. Larger batches go through it image by image. Statistics
    are float32 in any precision. The affine parameters, where there are any, are applied once for the whole batch, so
    that each gets one gradient contribution per call (see `cyclegan_tf.adversarial`).

    Args:
        affine: learn a scale ~ N(1, .02) and an offset, as in the TensorFlow tutorial; without, as in the paper's code.
        epsilon: added to the variance.
        skip_single_pixel: pass 1x1 maps through unchanged. There the norm is identically its offset and no gradient
            passes, which makes the tutorial's 256-px U-Net bottleneck dead.
        seed: of the scale's initialiser.

    Input and output: ``(batch, height, width, channels)``, or with a depth before the height.
    """

    def __init__(
        self,
        *,
        affine: bool = False,
        epsilon: float = 1e-5,
        skip_single_pixel: bool = True,
        seed: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.affine = affine
        self.epsilon = epsilon
        self.skip_single_pixel = skip_single_pixel
        self.seed_number = seed

    def build(self, input_shape: Sequence[int]) -> None:
        channels = int(input_shape[-1])
        self._skip = self.skip_single_pixel and set(input_shape[1:-1]) == {1}
        if self.affine and not self._skip:
            self.scale = self.add_weight(
                name="scale",
                shape=(channels,),
                initializer=tf.keras.initializers.RandomNormal(1.0, 0.02, seed=self.seed_number),
            )
            self.offset = self.add_weight(name="offset", shape=(channels,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if self._skip:
            return inputs
        if len(inputs.shape) == 5:
            # The statistics do not ask where a voxel lies.
            shape = tf.shape(inputs)
            flat = tf.reshape(inputs, [inputs.shape[0] or shape[0], -1, inputs.shape[3], inputs.shape[4]])
            return tf.reshape(self.call(flat), shape)
        batch = inputs.shape[0]
        if batch == 1:
            if self.affine:
                return self._fused(inputs, tf.cast(self.scale, tf.float32), tf.cast(self.offset, tf.float32))
            return self._fused(inputs, *self._plain(inputs.shape[-1]))
        if batch is not None and batch <= 16:
            plain = self._plain(inputs.shape[-1])
            normal = tf.concat([self._fused(image, *plain) for image in tf.split(inputs, batch)], axis=0)
        else:
            normal = self._fold_batch(inputs)
        if self.affine:
            normal = normal * tf.cast(self.scale, normal.dtype) + tf.cast(self.offset, normal.dtype)
        return normal

    def _plain(self, channels: int):
        return tf.ones([channels], tf.float32), tf.zeros([channels], tf.float32)

    def _fused(self, image: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
        epsilon = max(self.epsilon, _SMALLEST_FUSED_EPSILON)
        return tf.compat.v1.nn.fused_batch_norm(image, scale, offset, epsilon=epsilon, is_training=True)[0]

    def _fold_batch(self, inputs: tf.Tensor) -> tf.Tensor:
        """A batch of unknown size as one image with batch x channels channels."""
        batch, height, width, channels = tf.unstack(tf.shape(inputs))
        wide = tf.reshape(tf.transpose(inputs, [1, 2, 0, 3]), [1, height, width, batch * channels])
        normal = self._fused(wide, tf.ones([batch * channels]), tf.zeros([batch * channels]))
        return tf.transpose(tf.reshape(normal, [height, width, batch, channels]), [2, 0, 1, 3])

    def get_config(self) -> dict:
        config = {name: getattr(self, name) for name in ("affine", "epsilon", "skip_single_pixel")}
        return {**super().get_config(), **config, "seed": self.seed_number}


class ReflectionPadding(tf.keras.layers.Layer):
    """Pads height and width (and depth) by mirroring without repeating the edge, as PyTorch's ReflectionPad2d."""

    def __init__(self, padding: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding = padding

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        inner = [[self.padding, self.padding]] * (len(inputs.shape) - 2)
        return tf.pad(inputs, [[0, 0], *inner, [0, 0]], mode="REFLECT")

    def get_config(self) -> dict:
        return {**super().get_config(), "padding": self.padding}


def enlarging_convolution(x: tf.Tensor, width: int, *, initializer: Any, dtype: Any) -> tf.Tensor:
    """A transposed 3x3 convolution of stride 2 as PyTorch has it with padding 1 and output padding 1.

    The picture's pixel i comes to lie at 2i. Keras' "same" cuts the other end of the full result off and moves the
    picture by a pixel.

    Args:
        x: ``(batch, height, width, channels)``, or with a depth before the height.
        width: filters.
        initializer: of the kernel.
        dtype: mixed-precision policy.

    Returns:
        ``(batch, 2 height, 2 width, filters)``; a depth is doubled too.
    """
    layers = tf.keras.layers
    sides = len(x.shape) - 2
    convolution, cropping = {
        2: (layers.Conv2DTranspose, layers.Cropping2D),
        3: (layers.Conv3DTranspose, layers.Cropping3D),
    }[sides]
    x = convolution(width, 3, 2, "valid", kernel_initializer=initializer, dtype=dtype)(x)
    return cropping(((1, 0),) * sides, dtype=dtype)(x)
