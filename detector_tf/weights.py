"""What a detector starts from: ImageNet, a file, or another run."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.imagenet import load_imagenet
from common_tf.runs.model_file import load_model
from detector_tf.backbones import HEAD_LAYERS, backbone_part, build_detector
from detector_tf.config import DetectorConfig
from detector_tf.folds import refuse_folds


def build_started(config: DetectorConfig, *, classes: int, policy: str) -> tuple:
    """Builds a config's network and loads what ``--weights`` names into it.

    Returns:
        The network, and one sentence on where its weights come from.

    Raises:
        UserError: weights that cannot be had or do not fit.
    """
    if config.weights == "imagenet":
        network = load_imagenet(
            config.backbone,
            lambda weights: build_detector(config, classes=classes, policy=policy, weights=weights),
            flag="--weights imagenet",
            way_out="give --weights none, a file or a run",
        )
        return network, "ImageNet weights of keras.applications"
    network = build_detector(config, classes=classes, policy=policy)
    if config.weights == "none":
        return network, f"random weights, seed {config.seed}"
    source = Path(config.weights)
    if source.is_dir():
        return network, _from_run(network, source)
    if source.is_file():
        try:
            backbone_part(network).load_weights(str(source))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0][:120]
            raise UserError(f"--weights {source}: not weights of a {config.backbone} backbone ({reason})") from error
        return network, f"backbone weights from {source.name}"
    raise UserError(f"--weights {source}: wants imagenet, none, a file of weights or a run folder; this is neither")


def _from_run(network: tf.keras.Model, run: Path) -> str:
    refuse_folds(run, flag="--weights ")
    other = load_model(run)
    if other.name != network.name:
        raise UserError(f"--weights {run}: holds a {other.name}, not a {network.name}; add --backbone {other.name}")
    layers = {layer.name: layer for layer in other.layers if layer.weights}
    mine = [layer for layer in network.layers if layer.weights]
    # Layers without given names are numbered by Keras in the order of building, so order is what they share.
    pairs = list(zip(mine, layers.values()))
    if len(mine) != len(layers):
        raise UserError(f"--weights {run}: has {len(layers)} layers with weights, this {network.name} has {len(mine)}")
    for layer, source in pairs:
        values = source.get_weights()
        fits = [np.shape(value) for value in values] == [tuple(weight.shape) for weight in layer.weights]
        if fits:
            layer.set_weights(values)
        elif layer.name not in HEAD_LAYERS:
            raise UserError(
                f"--weights {run}: layer {source.name} does not fit; use the same --image-size and --set filters="
            )
    return f"backbone weights from the run {run.name}"
