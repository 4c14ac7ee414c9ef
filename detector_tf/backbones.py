"""The networks: three of Keras' applications, a compact one, the document's own, a multi-scale one, and the U-Net.

All are flat models (a nested backbone would hide its layers from Grad-CAM) from ``(batch, size, size, channels)``
float32 in [-1, 1] to float32 logits: one for two classes, ``classes`` for more. What a backbone wants its input to
be (RGB, BGR, 0..255) happens inside, so nobody can get it wrong later. The layer named ``features`` is the pooled
vector before the last one.
"""

import contextlib
from typing import Mapping

import tensorflow as tf
from tensorflow.keras import layers

from common_tf.layers import CountedDropout, ReverseChannels
from common_tf.precision import precision_policy
from detector_tf.config import DetectorConfig

HEAD_LAYERS = ("features", "dropout", "logits", "float32_logits")

CAM_LAYER: Mapping[str, str] = {
    "small": "last_convolution",
    "original": "convolution",
    "multiscale": "last_convolution",
    "vgg16": "block5_conv3",
    "resnet50": "conv5_block3_out",
    "efficientnetb3": "top_activation",
}
"""The last convolutional map, on which Grad-CAM works."""

FINE_TUNE_FROM: Mapping[str, str] = {
    "vgg16": "block5_conv1",
    "resnet50": "conv5_block1_1_conv",
    "efficientnetb3": "block6a_expand_conv",
}
"""The first layer that fine-tuning changes by default; the other backbones are fine-tuned whole."""

_FASTER_IN_BFLOAT16 = ("vgg16", "resnet50", "unet")
"""Measured on a CPU (docs/detector.md): full convolutions with many channels; the others gain next to nothing."""

_APPLICATIONS = {
    "vgg16": tf.keras.applications.VGG16,
    "resnet50": tf.keras.applications.ResNet50,
    "efficientnetb3": tf.keras.applications.EfficientNetB3,
}


def chosen_policy(config: DetectorConfig) -> str:
    """The Keras mixed-precision policy of a config; ``auto`` takes bfloat16 only for backbones that gain by it."""
    slow = config.precision == "auto" and config.backbone not in _FASTER_IN_BFLOAT16
    return precision_policy("float32" if slow else config.precision)


def build_detector(config: DetectorConfig, *, classes: int, policy: str, weights: str = "none") -> tf.keras.Model:
    """Builds the network of a config.

    Args:
        config: of the run.
        classes: 2 or more.
        policy: Keras mixed-precision policy; the logits are float32 in any case.
        weights: ``imagenet`` to let Keras load (or download) them into a backbone of Keras' own; anything else is
        random.
    """
    tf.keras.utils.set_random_seed(config.seed + 17)
    with _policy(policy):
        inputs = tf.keras.Input((config.side, config.side, config.channels), name="image", dtype=tf.float32)
        if config.backbone in _APPLICATIONS:
            x = _application(config.backbone, inputs, None if weights == "none" else weights)
        else:
            x = {"small": _small, "original": _original, "multiscale": _multiscale, "unet": _unet}[config.backbone](
                inputs, config.filters
            )
        outputs = 1 if classes == 2 else classes
        if config.backbone == "unet":
            x = layers.Conv2D(outputs, 1, name="logits")(x)
        else:
            if len(x.shape) == 4:
                x = layers.GlobalAveragePooling2D(name="features")(x)
            x = CountedDropout(config.dropout, seed=config.seed, name="dropout")(x)
            x = layers.Dense(outputs, name="logits")(x)
        x = layers.Activation("linear", dtype="float32", name="float32_logits")(x)
    return tf.keras.Model(inputs, x, name=config.backbone)


def backbone_part(model: tf.keras.Model) -> tf.keras.Model:
    """A detector without its head, for weights that belong to the backbone alone."""
    last = model.get_layer("features").input
    return tf.keras.Model(model.input, last)


def _application(name: str, inputs: tf.Tensor, weights) -> tf.Tensor:
    x = inputs if inputs.shape[-1] == 3 else layers.Concatenate(name="gray_to_rgb")([inputs] * 3)
    if name == "efficientnetb3":  # wants 0..255 and rescales inside
        x = layers.Rescaling(127.5, offset=127.5, name="to_255")(x)
    else:  # "caffe" input: BGR in 0..255 minus ImageNet's mean
        x = ReverseChannels(name="to_bgr")(x)
        mean = [127.5 - value for value in (103.939, 116.779, 123.68)]
        x = layers.Rescaling(127.5, offset=mean, name="minus_mean")(x)
    # EfficientNet drops whole blocks at random, from a generator that no checkpoint holds; without it, runs are exact.
    exact = {"drop_connect_rate": 0.0} if name == "efficientnetb3" else {}
    return _APPLICATIONS[name](include_top=False, weights=weights, input_tensor=x, **exact).output


def _norm_relu(x: tf.Tensor) -> tf.Tensor:
    return layers.ReLU()(layers.BatchNormalization()(x))


def _convolution(x: tf.Tensor, width: int, kernel: int = 3, strides: int = 1) -> tf.Tensor:
    return layers.Conv2D(width, kernel, strides, "same", use_bias=False, kernel_initializer="he_normal")(x)


def _small(inputs: tf.Tensor, filters: int) -> tf.Tensor:
    """A compact residual network for small sets and CPUs: 0.7 million parameters with 24 filters."""
    x = _norm_relu(_convolution(inputs, filters, 5, strides=2))
    x = layers.MaxPooling2D(2)(x)
    for width in (2 * filters, 4 * filters, 6 * filters):
        shortcut = layers.Conv2D(width, 1, 1, "same", use_bias=False)(layers.AveragePooling2D(2)(x))
        branch = _norm_relu(_convolution(x, width, strides=2))
        branch = layers.BatchNormalization()(_convolution(branch, width))
        x = layers.ReLU()(layers.Add()([shortcut, branch]))
    return layers.Activation("linear", name="last_convolution")(_norm_relu(_convolution(x, 6 * filters)))


def _original(inputs: tf.Tensor, filters: int) -> tf.Tensor:
    """The document's network: 16 filters of 5x5, max pooling, one hidden layer of 256. Its notebook ends in 14 outputs
    of which two are used; here the outputs are those of the classes. Images are in [0, 1] as there."""
    x = layers.Rescaling(0.5, offset=0.5)(inputs)
    x = layers.Conv2D(16, 5, activation="relu", name="convolution")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return layers.Dense(256, activation="relu", name="features")(x)


def _multiscale(inputs: tf.Tensor, filters: int) -> tf.Tensor:
    """After Diaz-Pernas et al. 2021: three paths with kernels of 11, 7 and 3 pixels, two convolutions with max pooling
    each, joined and convolved. They classify the centre of a sliding window; run over the whole image at once, the
    pooled map is the sum of the windows' evidence."""
    paths = []
    for kernel in (11, 7, 3):
        x = layers.MaxPooling2D(2)(_norm_relu(_convolution(inputs, filters, kernel, strides=2)))
        paths.append(layers.MaxPooling2D(2)(_norm_relu(_convolution(x, 2 * filters, kernel))))
    x = _norm_relu(_convolution(layers.Concatenate()(paths), 4 * filters))
    return layers.Activation("linear", name="last_convolution")(x)


def _unet(inputs: tf.Tensor, filters: int) -> tf.Tensor:
    """Ronneberger et al. 2015 with batch norm: four halvings, two convolutions a level."""

    def block(x, width):
        return _norm_relu(_convolution(_norm_relu(_convolution(x, width)), width))

    x, skips = inputs, []
    for level in range(4):
        x = block(x, filters * 2**level)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = block(x, filters * 16)
    for level, skip in reversed(list(enumerate(skips))):
        x = _convolution(layers.UpSampling2D(2)(x), filters * 2**level)
        x = block(layers.Concatenate()([x, skip]), filters * 2**level)
    return x


@contextlib.contextmanager
def _policy(name: str):
    """Keras' applications take the global policy only."""
    before = tf.keras.mixed_precision.global_policy()
    tf.keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf.keras.mixed_precision.set_global_policy(before)
