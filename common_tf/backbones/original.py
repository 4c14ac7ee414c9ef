"""The founding document's network: 16 filters of 5x5, max pooling, one hidden layer of 256. Its notebook ends in 14
outputs of which two are used; here the outputs are those of the classes. Images are in [0, 1] as there.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 20
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 50, "convolution", "", False
IMAGENET, USES_FILTERS, SEGMENTS = "", False, False
STARTED = dict(head_epochs=5, learning_rate=3e-4)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    from tensorflow.keras import layers

    x = layers.Rescaling(0.5, offset=0.5)(inputs)
    x = layers.Conv2D(16, 5, activation="relu", name="convolution")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return layers.Dense(256, activation="relu", name="features")(x)
