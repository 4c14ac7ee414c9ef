"""Scores against aligned truth, which drawn heads have: what the translator reached, beside the floors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from common_tf.files import read_json, replace_json
from common_tf.measurement.floors import apply_intensity_table, fit_intensity_table
from common_tf.measurement.measurement import Measurement, measure
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.similarity import similarity_metrics
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid, save_png
from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.sources.drawn import fitting_heads
from common_tf.sources.source import Case, Loaded
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import translation_source
from cyclegan_tf.inference import TrainedTranslator, load_translator

SCORES_FILE = "phantom_scores.json"
_METRICS = ("ssim", "psnr", "mae")
_ROWS = 5


def held_out_heads(config: TranslatorConfig) -> list[Case]:
    """Aligned drawn heads that no training of this config sees."""
    return [case for case in translation_source(config, data="phantom").cases if case.given_split == "test"]


def training_heads(config: TranslatorConfig) -> list[Case]:
    """The aligned heads behind domain A's training slices; only floors may use both of their sides."""
    data = config.data
    return fitting_heads(
        seed=config.optimisation.seed,
        count=data.phantoms,
        size=data.image_size,
        pair=data.phantom_pair,
        domains=data.domain_names,
    )


def score_phantom_run(run: Path, config: TranslatorConfig) -> dict:
    """Translates held-out heads both ways and scores them against their truth.

    Writes ``phantom_scores.json``, ``translated/DIRECTION/*.png`` and ``phantoms.png`` (input, output, truth) into the
    run folder and prints a table. Metrics are taken inside the head of each phantom, on [0, 1]; the floors are the
    input itself and a 256-entry intensity table fitted on the *aligned* training heads, which the translator never
    sees aligned.

    Returns:
        What stands in phantom_scores.json.
    """
    translator = load_translator(run)
    heads, fitting = _loaded(held_out_heads(config)), _loaded(training_heads(config))
    tables, columns, titles = {}, [], []
    for direction in translator.directions:
        source, target, _ = translator.direction(direction)
        inputs, outputs, truth = _translated(translator, heads, direction)
        tables[direction] = _table(direction, inputs, outputs, truth, heads, fitting, (source, target))
        folder = Path(run) / "translated" / direction
        folder.mkdir(parents=True, exist_ok=True)
        for index, output in enumerate(outputs):
            save_png(folder / f"phantom_{index:02d}.png", Image.fromarray(quantise(output)))
        columns += [inputs[:_ROWS], outputs[:_ROWS], truth[:_ROWS]]
        titles += [f"{source}, input", f"{target}, synthetic", f"{target}, truth"]
    scores = {
        "n": len(heads),
        "step": translator.record["step"],
        "region": "inside the head, images on [0, 1]",
        "directions": {name: {row.key: _cells(row) for row in table.rows} for name, table in tables.items()},
    }
    replace_json(Path(run) / SCORES_FILE, scores)
    save_grid(Path(run) / "phantoms.png", columns, titles=titles, footer=f"Drawn heads. {SYNTHETIC_NOTICE}")
    print(f"against aligned truth, {len(heads)} held-out heads, {scores['region']} (95 % bootstrap over heads):")
    for table in tables.values():
        print("\n".join(table.as_lines()), flush=True)
    return scores


def is_scored(run: Path, step: int) -> bool:
    """Whether the scores in a run's folder are those of the weights of a step."""
    file = Path(run) / SCORES_FILE
    return file.exists() and read_json(file, way_out="remove it").get("step") == step


def _loaded(cases: Sequence[Case]) -> list[Loaded]:
    return [case.load() for case in cases]


def _stack(heads: Sequence[Loaded], label: str) -> np.ndarray:
    return np.stack([head.pictures[label].scaled() for head in heads])


def _translated(translator: TrainedTranslator, heads: Sequence[Loaded], direction: str) -> tuple:
    source, target, network = translator.direction(direction)
    # Without their known heads, as files come: the scores are those of translate.py on the same pictures.
    pictures = [Picture(head.pictures[source].pixels) for head in heads]
    outputs = np.stack(translator.translate_pictures(pictures, source=source, network=network))
    return _stack(heads, source), _as_files(outputs), _stack(heads, target)


def _as_files(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1] with the 256 values that files hold; the report scores the same ones."""
    return np.stack([Picture(quantise(image)).scaled() for image in images])


def _table(direction: str, inputs, outputs, truth, heads, fitting, sides: tuple[str, str]) -> Table:
    metrics = similarity_metrics("head")
    mask = np.stack([head.pictures[sides[0]].head for head in heads])
    lookup = fit_intensity_table(*(_stack(fitting, side) for side in sides))
    rows = []
    for name, images, kind in (
        ("translator", outputs, "result"),
        ("floor: copy of the input", inputs, "floor"),
        ("floor: intensity table", _as_files(apply_intensity_table(inputs, lookup)), "floor"),
    ):
        cells = {key: measure(metrics[key].function(images, truth, mask=mask), of="heads") for key in _METRICS}
        rows.append(Row(name, cells, kind, key=name))
    columns = [Column(k, metrics[k].title, metrics[k].definition, metrics[k].better) for k in _METRICS]
    return Table(direction, direction, columns, rows)


def _cells(row: Row) -> dict:
    return {key: cell.as_dict() for key, cell in row.cells.items() if isinstance(cell, Measurement)}
