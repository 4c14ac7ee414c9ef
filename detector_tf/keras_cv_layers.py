"""The door to keras-cv, whose layers draw from generators with a state of their own, which no checkpoint holds."""

import contextlib
import functools
import io
from typing import Any

from detector_tf.augmentation_layers import Change, Random
from detector_tf.sections import AugmentationSection

with contextlib.redirect_stdout(io.StringIO()):  # it announces its backend
    from keras_cv import layers as augmentations


def geometric(config: AugmentationSection, random: Random) -> list[Change]:
    """See `augmentation_layers.geometric`. These layers draw through an object with a method ``uniform``."""
    fill: dict[str, Any] = dict(fill_mode="constant", fill_value=0.0)
    layers: list[Any] = []
    if config.flip:
        layers.append(augmentations.RandomFlip("horizontal"))
    if config.rotation:
        layers.append(augmentations.RandomRotation(config.rotation / 360, **fill))
    if config.shift:
        layers.append(augmentations.RandomTranslation(config.shift, config.shift, **fill))
    if config.zoom:
        layers.append(augmentations.RandomZoom((-config.zoom, config.zoom), **fill))
    for layer in layers:
        layer._random_generator = random
    return [functools.partial(layer, training=True) for layer in layers]


def photometric(config: AugmentationSection, random: Random) -> list[Change]:
    """See `augmentation_layers.photometric`. These layers draw through a function ``factor``."""
    if not config.contrast:
        return []
    layers = [
        augmentations.RandomBrightness(config.contrast, value_range=(0, 1)),
        augmentations.RandomContrast(value_range=(0, 1), factor=config.contrast),
    ]
    for layer in layers:
        low, high = layer.factor.lower, layer.factor.upper
        layer.factor = functools.partial(random.uniform, minval=low, maxval=high)
    return [functools.partial(layer, training=True) for layer in layers]
