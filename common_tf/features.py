"""Frozen networks whose feature maps serve as a measure of likeness (perceptual and style losses)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf

from common_tf import lite0
from common_tf.errors import UserError
from common_tf.imagenet import load_imagenet
from common_tf.runs.saved_detector import MODEL_FILE, OLD_MODEL_FILE, load_detector_network

_VGG_LAYERS = {
    "vgg16": ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3"),
    "vgg19": ("block2_conv1", "block3_conv3", "block4_conv4"),
}
_LEVELS = 4


@dataclass(frozen=True)
class FeatureMaps:
    """A frozen network as a function of images.

    Attributes:
        network: from the input it wants to a list of feature maps.
        description: for reports.
        size: side that images are resized to; 0 for any.
        channels: that the network wants.
        scale, offset: applied to images in [-1, 1]; ``offset`` one value a channel.
        reverse: RGB to BGR.
        slices: of a slab, each of which is looked at by itself; 1 for channels that are one gray value.
    """

    network: tf.keras.Model
    description: str
    size: int
    channels: int
    scale: float
    offset: Sequence[float]
    reverse: bool
    slices: int = 1

    def __call__(self, images: tf.Tensor) -> list:
        """Feature maps of ``(batch, size, size, channels)`` in [-1, 1], float32, from fine to coarse; of slabs
        ``batch * slices`` of them.
        """
        if self.slices > 1:
            images = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), [-1, *images.shape[1:3], 1])
        images = tf.reduce_mean(images, axis=-1, keepdims=True)
        if self.size and self.size != images.shape[1]:
            images = tf.image.resize(images, [self.size, self.size], antialias=True)
        images = tf.repeat(images, self.channels, axis=-1) * self.scale + tf.constant(self.offset, tf.float32)
        if self.reverse:
            images = tf.reverse(images, [-1])
        maps = self.network(images, training=False)
        return [tf.cast(one, tf.float32) for one in maps]


def load_feature_maps(extractor: str, *, slices: int = 1) -> FeatureMaps:
    """Loads a frozen extractor.

    Args:
        extractor: ``efficientnetlite0``, whose ImageNet weights come with a package; ``vgg16`` or ``vgg19`` (ImageNet
            weights from Keras' cache, or its download), a file of such weights whose name begins with ``vgg16`` or
            ``vgg19``, or the folder of a detector's run. VGG features are taken before the ReLU, as in perceptual
            losses.
        slices: see `FeatureMaps`.

    Raises:
        UserError: it cannot be had. Random weights are never a way out.
    """
    return replace(_loaded(extractor), slices=slices)


def _loaded(extractor: str) -> FeatureMaps:
    if extractor == lite0.NAME:
        return _lite0()
    path = Path(extractor)
    name = path.name[:5]
    if path.is_dir():
        return _detector(path)
    if extractor in _VGG_LAYERS or path.is_file() and name in _VGG_LAYERS:
        return _vgg(name, path if path.is_file() else None)
    raise UserError(
        f"--set extractor={extractor}: wants {lite0.NAME}, vgg16, vgg19, a file of VGG's weights, or the folder of "
        "a detector's run"
    )


def _lite0() -> FeatureMaps:
    return FeatureMaps(
        network=lite0.lite0_features(lite0.TAPS),
        description=f"EfficientNet-Lite0 (ImageNet), {', '.join(lite0.TAPS)}",
        size=0,
        channels=1,
        scale=1.0,
        offset=(0.0,),
        reverse=False,
    )


def _vgg(name: str, file) -> FeatureMaps:
    build = {"vgg16": tf.keras.applications.VGG16, "vgg19": tf.keras.applications.VGG19}[name]
    network = load_imagenet(
        name,
        lambda weights: build(include_top=False, weights=weights, input_shape=(None, None, 3)),
        flag=f"--set extractor={file or name}",
        way_out="give the folder of a detector's run as the extractor",
        file=file,
    )
    for layer in network.layers:
        if layer.name in _VGG_LAYERS[name]:
            layer.activation = tf.keras.activations.linear
    # The maps must not feed each other without their ReLU: a second network, whose taps do not lie on its own path.
    taps = _before_activation(network, _VGG_LAYERS[name])
    return FeatureMaps(
        network=taps,
        description=f"{name} (ImageNet), {', '.join(_VGG_LAYERS[name])} before their ReLU",
        size=0,
        channels=3,
        scale=127.5,
        offset=(127.5 - 123.68, 127.5 - 116.779, 127.5 - 103.939),
        reverse=True,
    )


def _before_activation(network: tf.keras.Model, names: Sequence[str]) -> tf.keras.Model:
    """The network with its ReLUs behind the tapped layers, which give their linear output."""
    inputs = tf.keras.Input(network.input_shape[1:])
    x, taps = inputs, []
    for layer in network.layers[1:]:
        x = layer(x)
        if layer.name in names:
            taps.append(x)
            x = tf.keras.layers.ReLU()(x)
        if len(taps) == len(names):
            break
    return _frozen(tf.keras.Model(inputs, taps))


def _detector(run: Path) -> FeatureMaps:
    """The last map of each resolution of a detector, the coarsest four."""
    if not any((run / name).is_file() for name in (MODEL_FILE, OLD_MODEL_FILE)):
        inner = sorted(item for item in run.iterdir() if (item / MODEL_FILE).is_file())
        wanted = f"one of its folds, such as {inner[0]}" if inner else "a detector's run"
        raise UserError(f"--set extractor={run}: no {MODEL_FILE} in it; give the folder of {wanted}")
    model, spec = load_detector_network(run)
    by_size: dict = {}
    for layer in model.layers[1:]:
        shape = layer.output.shape
        if len(shape) == 4 and shape[1] and shape[1] < spec.side and shape[-1] > 4:
            by_size[shape[1]] = layer.output
    taps = [by_size[size] for size in sorted(by_size, reverse=True)][-_LEVELS:]
    if not taps:
        raise UserError(f"--set extractor={run}: a {spec.backbone} has no feature maps")
    return FeatureMaps(
        network=_frozen(tf.keras.Model(model.input, taps)),
        description=f"the tumour detector {run.name} ({spec.backbone}), its last map at {len(taps)} resolutions",
        size=spec.side,
        channels=spec.channels,
        scale=1.0,
        offset=(0.0,) * spec.channels,
        reverse=False,
    )


def _frozen(network: tf.keras.Model) -> tf.keras.Model:
    network.trainable = False
    return network
