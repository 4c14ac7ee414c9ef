"""A trained run as a function of arrays and pictures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.forward import in_batches
from common_tf.pictures.intensity import from_signed, parse_windows, to_signed
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import PREPARATION_FILE, Preparation, load_preparations, prepare, restore
from common_tf.pictures.readers import FileFacts
from common_tf.runs.weights import load_weights
from cyclegan_tf.config import TranslatorConfig, load_translator_config
from cyclegan_tf.directions import direction_words
from cyclegan_tf.systems import system_class


class ArrayTranslator:
    """Generators as a function on arrays in [0, 1].

    Args:
        networks: generators by direction.
        channels: of the generators. Gray values of lone slices are repeated on the way in and averaged on the way out.
        batch_size: images in one forward pass; without dropout the result does not depend on it.
        dropout: keep dropout on, as pix2pix does for its noise.

    Attributes:
        networks, keeps_dropout: as given.
        parameters: weights of all generators.
    """

    def __init__(
        self, networks: Mapping[str, tf.keras.Model], *, channels: int, batch_size: int = 8, dropout: bool = False
    ):
        self.networks = dict(networks)
        self.keeps_dropout = dropout
        self._tracing = Lock()
        self._graphs: dict[tuple, Callable[[tf.Tensor], tf.Tensor]] = {}
        self.parameters = sum(network.count_params() for network in networks.values())
        self._channels = channels
        self._batch_size = batch_size

    def __call__(self, images: np.ndarray, direction: str) -> np.ndarray:
        """Translates ``(n, size, size)`` float32 in [0, 1], slabs of slices ``(n, size, size, channels)``, or cubes
        ``(n, side, side, side)``; the same comes back.
        """
        as_seen = images.ndim == len(self.networks[direction].input_shape)

        def translated(some: np.ndarray) -> tf.Tensor:
            batch = to_signed(tf.convert_to_tensor(some, tf.float32))
            if as_seen:
                return from_signed(self._graph(direction, batch))
            output = self._graph(direction, tf.repeat(batch[..., None], self._channels, axis=-1))
            return from_signed(tf.reduce_mean(output, axis=-1))

        return in_batches(
            translated,
            images,
            size=self._batch_size,
            result=images.shape[1:],
            keeps_state=self.keeps_dropout,  # its counter draws the next batch's
        )

    def _graph(self, direction: str, batch: tf.Tensor) -> tf.Tensor:
        """Runs the graph of this shape: norms are computed image by image, which wants batches of a known size."""
        key = direction, tuple(batch.shape)
        if key not in self._graphs:
            with self._tracing, tf.device(None):  # of no device: each of them runs it
                if key not in self._graphs:  # nor has another thread made it meanwhile
                    self._graphs[key] = self._traced(direction, batch)
        return self._graphs[key](batch)

    def _traced(self, direction: str, batch: tf.Tensor) -> Callable[[tf.Tensor], tf.Tensor]:
        network = self.networks[direction]
        function = tf.function(lambda images: network(images, training=self.keeps_dropout), autograph=False)
        return function.get_concrete_function(tf.TensorSpec(batch.shape, batch.dtype))


@dataclass(frozen=True)
class TrainedTranslator:
    """A run, ready to translate.

    Attributes:
        config: of the run.
        preparations: by domain name.
        record: what was saved with the weights: step, figure, value.
        translate: see `ArrayTranslator`.
        is_volumetric: whether it translates volumes as a whole, and no single slices.
    """

    config: TranslatorConfig
    preparations: Mapping[str, Preparation]
    record: Mapping
    translate: ArrayTranslator
    is_volumetric: bool = False

    @property
    def directions(self) -> dict[str, str]:
        """What it translates: ``CT2MRI`` and so on, with the name of the network; a one-sided run has one."""
        names = self.config.data.domain_names
        return {direction_words(network, names): network for network in self.config.directions}

    def direction(self, text: str) -> tuple[str, str, str]:
        """The source domain, the target domain and the network's name for words like ``CT2MRI``.

        Raises:
            UserError: not a direction of this run.
        """
        for words, network in self.directions.items():
            if words.lower() == text.lower():
                source, target = words.split("2")
                return source, target, network
        raise UserError(f"--direction {text}: this run translates {' and '.join(self.directions)}")

    def network(self, source: str) -> str | None:
        """The name of the network that translates from a domain; ``None`` where there is none."""
        found = [network for words, network in self.directions.items() if words.split("2")[0] == source]
        return found[0] if found else None

    def for_files(self, facts: Mapping[str, FileFacts], *, source: str, window: str = "") -> "TrainedTranslator":
        """The same run for files that may be deeper than those it was trained on; see `Preparation.for_files`.

        Args:
            facts: of all of these files, by name.
            source: their domain.
            window: ``NAME=BLACK:WHITE`` that the user gave, or ``""``.

        Raises:
            UserError: gray values whose black or white cannot be known; a run that translates no slices.
        """
        self.refuse_slices()
        windows = parse_windows(window, [source])
        own = self.preparations[source].for_files(facts, name=source, window=windows.get(source))
        return replace(self, preparations={**self.preparations, source: own})

    def refuse_slices(self) -> None:
        """Refuses single slices where the run translates volumes as a whole.

        Raises:
            UserError: such a run.
        """
        if self.is_volumetric:
            raise UserError(
                f"this run ({self.config.model}) translates volumes as a whole; give NIfTI files or DICOM series, or a "
                "run of slices"
            )

    def refuse_slabs(self, what: str) -> None:
        """Refuses a run that translates slices together with their neighbours.

        Args:
            what: does not work with it.

        Raises:
            UserError: such a run.
        """
        if self.config.data.neighbours:
            raise UserError(f"this run translates each slice with {self.config.data.neighbours} on either side; {what}")

    def translate_pictures(self, pictures: Sequence[Picture], *, source: str, network: str) -> list[np.ndarray]:
        """Translates pictures of any size. One stands for its neighbours too where the run wants some.

        Args:
            pictures: of one domain, without slabs.
            source: its name.
            network: one of `cyclegan_tf.directions.DIRECTIONS`.

        Returns:
            For each a ``(height, width)`` float32 array in [0, 1] of its own size.

        Raises:
            UserError: a run that translates no slices.
        """
        self.refuse_slices()
        preparation, size = self.preparations[source], self.config.data.image_size
        squares = [prepare(picture, preparation, size=size) for picture in pictures]
        outputs = self.translate(np.stack([square.pixels for square in squares]), network)
        return [restore(output, square) for output, square in zip(outputs, squares)]


def load_translator(run: Path, *, batch_size: int = 8) -> TrainedTranslator:
    """Loads a run folder (or a folder of ``checkpoints/``) for inference.

    Raises:
        UserError: no run, no weights, or damaged ones.
    """
    run = Path(run)
    if not run.is_dir():
        raise UserError(f"--run {run}: no such folder; give the folder of a training run, or one of checkpoints/")
    config = load_translator_config(run)
    preparations = load_preparations(run / PREPARATION_FILE)
    if set(preparations) != set(config.data.domain_names):
        raise UserError(f"{run / PREPARATION_FILE}: is not that of {config.data.domains}; put back the run's own file")
    system = system_class(config.model)
    # Inference is float32 on every machine: the same weights give the same picture with or without bfloat16 hardware.
    networks = system.build_inference(config, policy="float32")
    record = load_weights(run, networks)
    translate = ArrayTranslator(
        networks, channels=config.data.image_channels, batch_size=batch_size, dropout=system.keeps_dropout(config)
    )
    return TrainedTranslator(
        config=config, preparations=preparations, record=record, translate=translate, is_volumetric=system.is_volumetric
    )
