"""The U-Net of segmentation: Ronneberger et al. 2015 with batch norm, four halvings, two convolutions a level."""

from typing import TYPE_CHECKING

from common_tf.backbones._blocks import convolution, norm_relu

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 70
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 256, "", "", True
IMAGENET, USES_FILTERS, SEGMENTS = "", True, True
STARTED = dict(head_epochs=5, learning_rate=3e-4)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    from tensorflow.keras import layers

    def block(x, width):
        return norm_relu(convolution(norm_relu(convolution(x, width)), width))

    x, skips = inputs, []
    for level in range(4):
        x = block(x, filters * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = block(x, filters * 16)
    for level, skip in reversed(list(enumerate(skips))):
        x = convolution(layers.UpSampling2D(2)(x), filters * 2**level)
        x = block(layers.Concatenate()([x, skip]), filters * 2**level)
    return x
