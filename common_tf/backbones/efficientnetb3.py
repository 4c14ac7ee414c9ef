"""EfficientNet-B3 of keras.applications."""

from typing import TYPE_CHECKING

from common_tf.backbones._blocks import as_rgb

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 60
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 300, "top_activation", "block6a_expand_conv", False
IMAGENET, USES_FILTERS, SEGMENTS = "efficientnetb3", False, False
STARTED = dict(head_epochs=5, learning_rate=1e-5)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    import tensorflow as tf
    from tensorflow.keras import layers

    from common_tf.lanes import without_drop_connect

    # It wants 0..255 and rescales inside.
    x = layers.Rescaling(127.5, offset=127.5, name="to_255")(as_rgb(inputs))
    build_b3 = tf.keras.applications.EfficientNetB3
    return without_drop_connect(build_b3, include_top=False, weights=weights, input_tensor=x).output
