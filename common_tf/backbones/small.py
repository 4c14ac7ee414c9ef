"""A compact residual network for small sets and CPUs: 0.7 million parameters with 24 filters."""

from typing import TYPE_CHECKING

from common_tf.backbones._blocks import convolution, norm_relu

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 10
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 128, "last_convolution", "", False
IMAGENET, USES_FILTERS, SEGMENTS = "", True, False
STARTED = dict(head_epochs=5, learning_rate=3e-4)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    from tensorflow.keras import layers

    x = norm_relu(convolution(inputs, filters, 5, strides=2))
    x = layers.MaxPooling2D(2)(x)
    for width in (2 * filters, 4 * filters, 6 * filters):
        shortcut = layers.Conv2D(width, 1, 1, "same", use_bias=False)(layers.AveragePooling2D(2)(x))
        branch = norm_relu(convolution(x, width, strides=2))
        branch = layers.BatchNormalization()(convolution(branch, width))
        x = layers.ReLU()(layers.Add()([shortcut, branch]))
    return layers.Activation("linear", name="last_convolution")(norm_relu(convolution(x, 6 * filters)))
