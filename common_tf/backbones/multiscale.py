"""After Diaz-Pernas et al. 2021: three paths with kernels of 11, 7 and 3 pixels, two convolutions with max pooling
each, joined and convolved. They classify the centre of a sliding window; run over the whole image at once, the pooled
map is the sum of the windows' evidence.
"""

from typing import TYPE_CHECKING

from common_tf.backbones._blocks import convolution, norm_relu

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 30
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 128, "last_convolution", "", False
IMAGENET, USES_FILTERS, SEGMENTS = "", True, False
STARTED = dict(head_epochs=5, learning_rate=3e-4)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    from tensorflow.keras import layers

    paths = []
    for kernel in (11, 7, 3):
        x = layers.MaxPooling2D(2)(norm_relu(convolution(inputs, filters, kernel, strides=2)))
        paths.append(layers.MaxPooling2D(2)(norm_relu(convolution(x, 2 * filters, kernel))))
    x = norm_relu(convolution(layers.Concatenate()(paths), 4 * filters))
    return layers.Activation("linear", name="last_convolution")(x)
