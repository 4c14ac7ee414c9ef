"""ResNet50 of keras.applications."""

from typing import TYPE_CHECKING

from common_tf.backbones._blocks import caffe_input

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 50
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 224, "conv5_block3_out", "conv5_block1_1_conv", True
IMAGENET, USES_FILTERS, SEGMENTS = "resnet50", False, False
STARTED = dict(head_epochs=5, learning_rate=1e-5)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    import tensorflow as tf

    return tf.keras.applications.ResNet50(include_top=False, weights=weights, input_tensor=caffe_input(inputs)).output
