"""The networks of detectors, one a file; a file that is added here is a ``--backbone``.

They stand on the ground floor because what one wing needs of the other, a detector as a feature extractor, passes as
its config and its weights (`common_tf.runs.saved_detector`), and whoever loads it must be able to build it.

A backbone's file has

    SIZE                side of its input in pixels, where the config says 0
    CAM_LAYER           name of the last convolutional map, on which Grad-CAM works; "" for none
    FINE_TUNE_FROM      first layer that fine-tuning changes by default; "" for all
    FASTER_IN_BFLOAT16  whether ``--precision auto`` takes it on a CPU that has it (measured, docs/detector.md)
    IMAGENET            name under which `common_tf.imagenet` has weights; "" for none
    STARTED             options that are others by default where the network starts from weights that were trained
    USES_FILTERS        whether ``filters`` says anything
    SEGMENTS            whether it gives a map and not a vector
    build(inputs, filters, weights)

and imports TensorFlow inside ``build``, so that ``--help`` need not wait for it. ``build`` gets images in [-1, 1] and
returns a map or a vector; what a backbone wants its input to be (RGB, BGR, 0..255) happens inside, so nobody can get it
wrong later. All models are flat: a nested backbone would hide its layers from Grad-CAM.
"""

import sys
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from common_tf.plugins import plugins
from common_tf.randomness import Stream

if TYPE_CHECKING:
    import tensorflow as tf

HEAD_LAYERS = ("features", "dropout", "logits", "float32_logits")
_WEIGHTS = Stream("backbone.weights")


@cache
def backbones() -> dict[str, ModuleType]:
    """Every backbone's module by its name."""
    return plugins(sys.modules[__name__])


@dataclass(frozen=True)
class NetworkSpec:
    """Everything that decides what a detector's network is, beside its weights.

    Attributes:
        backbone: its name.
        side: of the input in pixels.
        channels: of the input.
        classes: 2 or more.
        filters: of the first layer, where the backbone can be had in several sizes.
        dropout: before the last layer.
        seed: of the initial weights and of the dropout.
    """

    backbone: str
    side: int
    channels: int
    classes: int
    filters: int
    dropout: float
    seed: int


def build_network(spec: NetworkSpec, *, policy: str, weights: str | None = None) -> "tf.keras.Model":
    """Builds a detector's network.

    Args:
        spec: what to build.
        policy: Keras mixed-precision policy; the logits are float32 in any case.
        weights: a file of weights for a backbone of keras.applications; ``None`` for random ones.

    Returns:
        A flat model from ``(batch, side, side, channels)`` float32 in [-1, 1] to float32 logits: one for two classes,
        ``classes`` for more; a map of them where the backbone segments. The layer ``features`` is the pooled vector.
    """
    import tensorflow as tf
    from tensorflow.keras import layers

    from common_tf.layers import CountedDropout, global_policy

    module = backbones()[spec.backbone]
    tf.keras.utils.set_random_seed(_WEIGHTS.integer(spec.seed, spec.backbone))
    with global_policy(policy):
        inputs = tf.keras.Input((spec.side, spec.side, spec.channels), name="image", dtype="float32")
        x = module.build(inputs, spec.filters, weights)
        outputs = 1 if spec.classes == 2 else spec.classes
        if module.SEGMENTS:
            x = layers.Conv2D(outputs, 1, name="logits")(x)
        else:
            if len(x.shape) == 4:
                x = layers.GlobalAveragePooling2D(name="features")(x)
            x = CountedDropout(spec.dropout, seed=_WEIGHTS.integer(spec.seed, "dropout"), name="dropout")(x)
            x = layers.Dense(outputs, name="logits")(x)
        x = layers.Activation("linear", dtype="float32", name="float32_logits")(x)
    return tf.keras.Model(inputs, x, name=spec.backbone)
