"""What a detector starts from: ImageNet, a file, or another run."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.backbones import HEAD_LAYERS, NetworkSpec, backbones, build_network
from common_tf.errors import UserError
from common_tf.imagenet import imagenet_origin, load_imagenet
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.config import DetectorConfig
from detector_tf.folds import refuse_folds
from detector_tf.networks import backbone_part, network_spec


@dataclass(frozen=True)
class Started:
    """A network before its first step.

    Attributes:
        network: with its weights.
        spec: what it is.
        origin: one sentence on where its weights come from.
    """

    network: tf.keras.Model
    spec: NetworkSpec
    origin: str


def build_started(config: DetectorConfig, *, classes: int, policy: str) -> Started:
    """Builds a config's network and loads what ``--weights`` names into it.

    Raises:
        UserError: weights that cannot be had or do not fit.
    """
    spec, wanted = network_spec(config, classes=classes), config.network.weights
    if wanted == "imagenet":
        network = load_imagenet(
            backbones()[spec.backbone].IMAGENET,
            lambda weights: build_network(spec, policy=policy, weights=weights),
            flag="--weights imagenet",
            way_out="give --weights none, a file or a run",
        )
        return Started(network, spec, imagenet_origin(backbones()[spec.backbone].IMAGENET))
    network = build_network(spec, policy=policy)
    if wanted == "none":
        return Started(network, spec, f"random weights, seed {spec.seed}")
    source = Path(wanted)
    if source.is_dir():
        return Started(network, spec, _from_run(network, source))
    if source.is_file() and config.task == "classify":
        return Started(network, spec, _from_file(network, source))
    files = ", a file of weights" if config.task == "classify" else ""
    raise UserError(f"--weights {source}: wants imagenet, none{files} or a run folder; this is neither")


def fine_tuned_layers(config: DetectorConfig, network: tf.keras.Model) -> list[tf.keras.layers.Layer]:
    """The layers that learn once the head has: all, or of weights that were trained before the last ones.

    Raises:
        UserError: no layer of the given name.
    """
    first = config.optimisation.fine_tune_from
    if not first and config.network.is_started:
        first = backbones()[config.network.backbone].FINE_TUNE_FROM
    names = [layer.name for layer in network.layers]
    if first and first not in names:
        raise UserError(f"--set fine_tune_from={first}: no such layer; there are {', '.join(names[1:])}")
    return network.layers[names.index(first) if first else 0 :]


def _from_file(network: tf.keras.Model, file: Path) -> str:
    """Loads an HDF5 file of a backbone's weights; of such a file only arrays are read, so nothing of it is executed."""
    try:
        if file.suffix != ".h5":  # Keras would read it as a checkpoint, and perhaps nothing of it
            raise ValueError("its name does not end in .h5")
        backbone_part(network).load_weights(str(file))
    except Exception as error:  # h5py and Keras raise many kinds for a wrong file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"--weights {file}: not weights of a {network.name} backbone ({reason})") from error
    return f"backbone weights from {file.name}"


def _from_run(network: tf.keras.Model, run: Path) -> str:
    """Copies the weights of a run's network, layer by layer; a head of another number of classes stays as it is."""
    refuse_folds(run, flag="--weights ")
    other, spec = load_detector_network(run)
    if spec.backbone != network.name:
        held = spec.backbone
        raise UserError(f"--weights {run}: holds a {held}, not a {network.name}; add --backbone {held}")
    theirs = [layer for layer in other.layers if layer.weights]
    mine = [layer for layer in network.layers if layer.weights]
    if len(mine) != len(theirs):
        raise UserError(f"--weights {run}: has {len(theirs)} layers with weights, this {network.name} has {len(mine)}")
    # Layers without given names are numbered by Keras in the order of building, so order is what they share.
    for layer, source in zip(mine, theirs):
        values = source.get_weights()
        fits = [np.shape(value) for value in values] == [tuple(weight.shape) for weight in layer.weights]
        if fits:
            layer.set_weights(values)
        elif layer.name not in HEAD_LAYERS:
            raise UserError(
                f"--weights {run}: layer {source.name} does not fit; use the same --image-size and --set filters="
            )
    return f"backbone weights from the run {run.name}"
