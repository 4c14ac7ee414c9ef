"""What of a run is exported: each network as a function from one square in [0, 1], and what must be known of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.lanes import tensorflow_variables
from common_tf.pictures.intensity import from_signed, to_signed
from common_tf.pictures.preparation import Preparation
from common_tf.runs.config import read_config_file
from common_tf.runs.folder import CONFIG_FILE
from cyclegan_tf.inference import load_translator
from detector_tf.inference import load_detector
from detector_tf.segmenter import load_segmenter

_FRAMING = {
    "head": "cut a square around the head: its centre is that of the head's bounding box, its side 1.08 times the "
    "larger of the box's longer side and `reference` of the picture's longer side; what is no head becomes 0, and what "
    "is head at least 1/255",
    "whole": "pad the picture to a square with its background's value",
}


@dataclass(frozen=True)
class Network:
    """A network of a run.

    Attributes:
        name: of its files: ``CT2MRI``, ``detector``, ``segmenter``.
        side: of its square, in pixels.
        function: ``(1, side, side, 1)`` float32 in [0, 1] to ``(1, side, side, 1)`` in [0, 1], or to probabilities
            ``(1, classes)``.
        variables: of the function; a file holds what it can find.
        source: domain of its pictures, of a translator; ``""`` elsewhere.
        preparation: from a picture to its square.
        description: what stands in its json.
        is_picture: whether its output is one.
    """

    name: str
    side: int
    function: Callable[[tf.Tensor], tf.Tensor]
    variables: Sequence[tf.Variable]
    source: str
    preparation: Preparation
    description: Mapping[str, Any]
    is_picture: bool

    def __call__(self, square: np.ndarray) -> np.ndarray:
        """The output for a square ``(side, side)``, without the leading 1."""
        return np.asarray(self.function(tf.constant(square[None, ..., None], tf.float32)))[0]

    @property
    def module(self) -> tf.Module:
        """With the function as its one signature."""
        module = tf.Module()
        module.parts = list(self.variables)
        signature = tf.TensorSpec((1, self.side, self.side, 1), tf.float32, name="image")
        module.__call__ = tf.function(lambda image: {"output": self.function(image)}, input_signature=[signature])
        return module


def networks_of(run: Path) -> list[Network]:
    """The networks of a finished run, of either wing.

    Raises:
        UserError: no run, one of volumes as a whole, or damaged files.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"{run}: no such folder; give the folder of a finished run, or one of checkpoints/")
    content = read_config_file(run / CONFIG_FILE)
    if "model" in content:
        return _translators(run)
    return [_segmenter(run) if content.get("task") == "segment" else _detector(run)]


def _translators(run: Path) -> list[Network]:
    translator = load_translator(run)
    translator.refuse_slices()
    translator.refuse_slabs("such a run is not exported")
    side, channels = translator.config.data.image_size, translator.config.data.image_channels
    if translator.translate.keeps_dropout:
        raise UserError(f"{run}: keeps dropout on, so no two of its pictures are equal; such a run is not exported")
    found = []
    for words, name in translator.directions.items():
        source, target = words.split("2")
        network = translator.translate.networks[name]

        def function(image: tf.Tensor, network=network) -> tf.Tensor:
            output = network(tf.repeat(to_signed(image), channels, axis=-1), training=False)
            return from_signed(tf.reduce_mean(output, axis=-1, keepdims=True))

        about = {
            "what": f"{source} to {target}, {translator.config.model}, step {translator.record['step']}",
            "output": f"{target} in [0, 1]; synthetic, not for diagnosis",
            "input": _input(translator.preparations[source], side),
            "output_values": _values(translator.preparations[target]),
        }
        preparation, variables = translator.preparations[source], tensorflow_variables(network)
        found.append(Network(words, side, function, variables, source, preparation, about, is_picture=True))
    return found


def _detector(run: Path) -> Network:
    detector = load_detector(run)
    if detector.source.enhancement.is_on:
        raise UserError(
            f"{run}: sees pictures through a median filter or CLAHE, which is not part of its network; such a run is "
            "not exported"
        )
    model, side, channels = detector.model, detector.source.size, detector.model.input.shape[-1]

    def function(image: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(model(tf.repeat(to_signed(image), channels, axis=-1), training=False), tf.float32)
        if len(detector.classes) == 2:
            logits = tf.concat([tf.zeros_like(logits), logits], axis=1)
        return tf.nn.softmax(logits / detector.temperature)

    about = {
        "what": f"detector, {detector.config.network.backbone}",
        "output": "probabilities of the classes, calibrated (the temperature is in the network); not for diagnosis",
        "classes": list(detector.classes),
        "threshold": detector.threshold if len(detector.classes) == 2 else None,
        "temperature": detector.temperature,
        "input": _input(detector.source.preparation, side),
    }
    return Network(
        "detector", side, function, tensorflow_variables(model), "", detector.source.preparation, about, False
    )


def _segmenter(run: Path) -> Network:
    segmenter = load_segmenter(run)
    model, side = segmenter.model, segmenter.source.size
    if segmenter.config.data.channels > 1:
        raise UserError(f"{run}: takes three sequences at once, and exported networks take one picture")

    def function(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.sigmoid(tf.cast(model(to_signed(image), training=False), tf.float32))

    about = {
        "what": "segmenter, " + segmenter.config.network.backbone,
        "output": "probability of lesion, pixel by pixel; above .5 is lesion; not for diagnosis",
        "input": _input(segmenter.source.preparation, side),
    }
    return Network(
        "segmenter", side, function, tensorflow_variables(model), "", segmenter.source.preparation, about, True
    )


def _input(preparation: Preparation, side: int) -> dict[str, Any]:
    return {
        "shape": [1, side, side, 1],
        "range": "float32, 0 black to 1 white",
        **_values(preparation),
        "framing": preparation.framing,
        "reference": preparation.reference,
        "framing_in_words": _FRAMING[preparation.framing],
    }


def _values(preparation: Preparation) -> dict[str, Any]:
    physical = preparation.physical
    return {"stored_black_and_white": [preparation.low, preparation.high], "physical": physical and list(physical)}
