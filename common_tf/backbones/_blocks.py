"""What several backbones are made of."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


def convolution(x: "tf.Tensor", width: int, kernel: int = 3, strides: int = 1) -> "tf.Tensor":
    """A convolution without bias, for a norm follows."""
    from tensorflow.keras import layers

    return layers.Conv2D(width, kernel, strides, "same", use_bias=False, kernel_initializer="he_normal")(x)


def norm_relu(x: "tf.Tensor") -> "tf.Tensor":
    """Batch norm and ReLU."""
    from tensorflow.keras import layers

    return layers.ReLU()(layers.BatchNormalization()(x))


def as_rgb(x: "tf.Tensor") -> "tf.Tensor":
    """Gray images three times, colour ones as they are."""
    from tensorflow.keras import layers

    return x if x.shape[-1] == 3 else layers.Concatenate(name="gray_to_rgb")([x] * 3)


def caffe_input(x: "tf.Tensor") -> "tf.Tensor":
    """[-1, 1] to what VGG16 and ResNet50 of keras.applications want: BGR in 0..255 minus ImageNet's mean."""
    from tensorflow.keras import layers

    from common_tf.layers import ReverseChannels

    mean = [127.5 - value for value in (103.939, 116.779, 123.68)]
    return layers.Rescaling(127.5, offset=mean, name="minus_mean")(ReverseChannels(name="to_bgr")(as_rgb(x)))
