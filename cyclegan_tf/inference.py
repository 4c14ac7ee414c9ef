"""Translating images with a trained run: in memory, and folders of files."""

import csv
import io
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
import tensorflow as tf
from PIL import Image

from common_tf.errors import UserError
from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid, save_png
from common_tf.images.intensity import quantise, to_signed, to_unit, to_unit_from_signed
from common_tf.images.preparation import Preparation, load_preparations, prepare, restore
from common_tf.images.reading import EXTENSIONS, BadImage, ImageData, image_paths, read_image
from common_tf.runs.checkpoints import load_weights
from common_tf.runs.config import load_config
from common_tf.runs.files import replace_text
from common_tf.runs.folder import CONFIG_FILE
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.translators import translator_class
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, trained_directions

PREPARATION_FILE = "preparation.yaml"
SHEET_FILE = "contact_sheet.png"
_SHEET_ROWS = 12
_FILES_AT_ONCE = 32


class UnitTranslator:
    """Generators as a function on arrays in [0, 1].

    Args:
        networks: generators by direction.
        channels: of the generators; gray values are repeated on the way in and averaged on the way out.
        batch_size: images in one forward pass; without dropout the result does not depend on it.
        dropout: keep dropout on, as pix2pix does for its noise.

    Attributes:
        parameters: weights of all generators.
    """

    def __init__(
        self, networks: Mapping[str, tf.keras.Model], *, channels: int, batch_size: int = 8, dropout: bool = False
    ):
        self._functions = {
            direction: tf.function(lambda images, network=network: network(images, training=dropout), autograph=False)
            for direction, network in networks.items()
        }
        self.parameters = sum(network.count_params() for network in networks.values())
        self._channels = channels
        self._batch_size = batch_size

    def __call__(self, images: np.ndarray, direction: str) -> np.ndarray:
        """Translates ``(n, size, size)`` float32 in [0, 1]; the same comes back."""
        results = []
        for start in range(0, len(images), self._batch_size):
            batch = to_signed(tf.convert_to_tensor(images[start : start + self._batch_size], tf.float32))
            output = self._functions[direction](tf.repeat(batch[..., None], self._channels, axis=-1))
            results.append(to_unit_from_signed(tf.reduce_mean(output, axis=-1)).numpy())
        return np.concatenate(results)


@dataclass(frozen=True)
class TrainedTranslator:
    """A run, ready to translate.

    Attributes:
        config: of the run.
        preparations: by domain name.
        record: what was saved with the weights: step, figure, value.
        translate: see `UnitTranslator`.
    """

    config: TranslatorConfig
    preparations: Mapping[str, Preparation]
    record: Mapping
    translate: UnitTranslator

    def direction(self, text: str) -> tuple:
        """The source domain, the target domain and the network's name for words like ``CT2MRI``.

        Raises:
            UserError: not a direction of this run.
        """
        a, b = self.config.domain_names
        table = {f"{a}2{b}".lower(): (a, b, A_TO_B), f"{b}2{a}".lower(): (b, a, B_TO_A)}
        if text.lower() not in [name.lower() for name in self.directions]:
            raise UserError(f"--direction {text}: this run translates {' and '.join(self.directions)}")
        return table[text.lower()]

    @property
    def directions(self) -> tuple:
        """What it translates, such as ``("CT2MRI", "MRI2CT")``; a one-sided run has one."""
        a, b = self.config.domain_names
        names = {A_TO_B: f"{a}2{b}", B_TO_A: f"{b}2{a}"}
        return tuple(names[direction] for direction in trained_directions(self.config))

    def translates(self, source: str) -> bool:
        """Whether it translates from that domain."""
        return any(name.startswith(f"{source}2") for name in self.directions)

    def translate_pictures(self, pictures: Sequence[ImageData], *, source: str, network: str) -> list:
        """Translates pictures of any size.

        Args:
            pictures: decoded files.
            source: name of the domain they belong to.
            network: one of `DIRECTIONS`.

        Returns:
            For each a ``(height, width)`` float32 array in [0, 1] of its own size.
        """
        preparation, size = self.preparations[source], self.config.image_size
        squares = [prepare(picture.pixels, preparation, bits=picture.bits, size=size) for picture in pictures]
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
    config = load_config(run / CONFIG_FILE, TranslatorConfig)
    preparations = load_preparations(run / PREPARATION_FILE)
    # Inference is float32 on every machine: the same weights give the same picture with or without bfloat16 hardware.
    networks = translator_class(config).build_inference(config, policy="float32")
    record = load_weights(run, networks)
    translate = UnitTranslator(networks, channels=config.channels, batch_size=batch_size, dropout=config.test_dropout)
    return TrainedTranslator(config=config, preparations=preparations, record=record, translate=translate)


def translate_files(translator: TrainedTranslator, *, direction: str, source: Path, output: Path) -> int:
    """Translates a file or a folder of files.

    Writes one PNG per input (same name, same size, 8 bits), ``synthetic.csv`` with a line for each, and
    ``contact_sheet.png`` with inputs beside outputs. Every PNG carries the text chunk ``Synthetic``.

    Args:
        translator: from `load_translator`.
        direction: such as ``CT2MRI``.
        source: a PNG or JPEG file, or a folder of them.
        output: folder; made if it is not there.

    Returns:
        How many images were translated.

    Raises:
        UserError: nothing to translate, files that cannot be used (nothing is written then), an output folder that
            holds the input.
    """
    domain, target, network = translator.direction(direction)
    paths = _inputs(Path(source))
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output}: is a file; give a folder")
    if output.resolve() in {path.parent.resolve() for path in paths}:
        raise UserError(f"--output {output}: holds the input; results would replace it, give another folder")
    _refuse_bad(paths)
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = output.with_name(f".writing-{os.getpid()}-{output.name}")
    try:
        staging.mkdir()
        _write_translations(translator, paths, domain, target, network, direction, staging)
        output.mkdir(exist_ok=True)
        for file in staging.iterdir():
            os.replace(file, output / file.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return len(paths)


def _write_translations(translator, paths, domain, target, network, direction, folder: Path) -> None:
    shown = set(np.linspace(0, len(paths) - 1, min(_SHEET_ROWS, len(paths))).astype(int).tolist())
    names, rows, sheet = _output_names(paths), [], []
    for start in range(0, len(paths), _FILES_AT_ONCE):
        part = paths[start : start + _FILES_AT_ONCE]
        pictures = [read_image(path) for path in part]
        results = translator.translate_pictures(pictures, source=domain, network=network)
        for number, (path, picture, result) in enumerate(zip(part, pictures, results), start=start):
            save_png(folder / names[path], Image.fromarray(quantise(result)))
            rows.append((names[path], path.name, direction, translator.record["step"], SYNTHETIC_NOTICE))
            if number in shown:
                sheet.append((to_unit(picture.pixels, maximum=picture.maximum), result))
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("file", "input", "direction", "step", "notice"), *rows])
    replace_text(folder / "synthetic.csv", table.getvalue())
    titles = [f"{domain}, input", f"{target}, synthetic"]
    save_grid(folder / SHEET_FILE, list(zip(*sheet)), titles=titles, footer=SYNTHETIC_NOTICE.split(".")[0])


def _inputs(source: Path) -> list:
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise UserError(f"--input {source}: no such file or folder")
    paths = image_paths(source)
    if not paths:
        raise UserError(f"--input {source}: no image files ({', '.join(EXTENSIONS)}) in it")
    return paths


def _refuse_bad(paths: Sequence[Path]) -> None:
    """Decodes everything once before anything is written."""
    problems = []
    for path in paths:
        try:
            read_image(path)
        except BadImage as error:
            problems.append(f"{path.name}: {error}")
    if problems:
        raise UserError(f"{len(problems)} input files cannot be used ({'; '.join(problems[:20])}); remove or mend them")


def _output_names(paths: Sequence[Path]) -> dict:
    """``name.png`` for each input; the full name where two inputs differ only in their extension."""
    stems = Counter(path.stem for path in paths)
    reserved = Path(SHEET_FILE).stem
    return {
        path: f"{path.stem}.png" if stems[path.stem] == 1 and path.stem != reserved else f"{path.name}.png"
        for path in paths
    }
