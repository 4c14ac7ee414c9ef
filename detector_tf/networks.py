"""A config's network."""

import tensorflow as tf

from common_tf.arithmetic import precision_policy
from common_tf.backbones import NetworkSpec, backbones
from detector_tf.config import DetectorConfig


def network_spec(config: DetectorConfig, *, classes: int) -> NetworkSpec:
    """What a config's network is."""
    network = config.network
    return NetworkSpec(
        backbone=network.backbone,
        side=network.side,
        channels=config.data.channels,
        classes=classes,
        filters=network.filters,
        dropout=network.dropout,
        seed=config.optimisation.seed,
    )


def chosen_policy(config: DetectorConfig) -> str:
    """The Keras mixed-precision policy of a config; ``auto`` takes bfloat16 only for backbones that gain by it."""
    wanted = config.optimisation.precision
    gains = backbones()[config.network.backbone].FASTER_IN_BFLOAT16
    return precision_policy("float32" if wanted == "auto" and not gains else wanted)


def backbone_part(model: tf.keras.Model) -> tf.keras.Model:
    """A classifier without its head, for weights that belong to the backbone alone."""
    return tf.keras.Model(model.input, model.get_layer("features").input)
