"""Several translators on one table: same test images, floors, intervals, sizes and costs."""

import hashlib
import json
import time
from pathlib import Path
from typing import Optional, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.images.pairs import PairedPictures, pair_folder, read_pairs
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.splits.manifest import read_manifest
from cyclegan_tf.data import held_out_phantoms, training_phantoms
from evaluation_tf.cache import ArrayCache
from evaluation_tf.measurement import Column, Figure, Row, Section, Table, plain_number
from evaluation_tf.outputs import Outputs
from evaluation_tf.report import REPORT_FILE, open_output, write_report
from evaluation_tf.similarity import IN_MASK, fitted_floors, interval_groups, interval_words, measure
from evaluation_tf.slices import phantom_pairs

_SHOWN = 4
_METRICS = tuple(column for column in IN_MASK if column.key in ("mae", "rmse", "psnr", "ssim", "pearson"))
_TEXTURE = Column(
    "swd",
    "Texture distance",
    "sliced Wasserstein distance of 7x7 patches between outputs and the truth of all pairs, in standard deviations",
    "lower",
)
_COST = (
    Column(
        "parameters", "Parameters, million", "weights of the networks that inference uses, all directions", digits=2
    ),
    Column("steps", "Steps", "updates made until the end of the training", digits=0),
    Column("best", "Step of the weights", "chosen by the run's own validation figure", digits=0),
    Column("step_time", "s a step", "training time over steps, on the machine of the training", "lower"),
    Column("minutes", "Minutes", "training time", "lower", 1),
)
# Tabulated in the founding document "on BraTS", for CT to MRI; no source, and BraTS holds no CT.
_DOCUMENT = {
    "CycleGAN": (0.034, 0.058, 25.7, 0.85),
    "pix2pix": (0.041, 0.064, 23.9, 0.82),
    "UNIT": (0.049, 0.073, 22.4, 0.79),
}


def compare(
    runs: Sequence[Path],
    *,
    output: Path,
    data: Optional[str],
    pairs: Optional[Path],
    pair_order: str,
    command: Sequence[str],
) -> Path:
    """Writes a report with one table a direction, and one of sizes and costs.

    Args:
        runs: two or more runs with the same domains.
        output: folder of the report.
        data: ``phantom`` for drawn heads, which need no ``pairs``; ``None`` where all runs were trained on them.
        pairs: aligned test pairs.
        pair_order: names of a strip's tiles.
        command: the command line, for the report.

    Returns:
        The path of report.html.

    Raises:
        UserError: fewer than two runs, other domains, no pairs, or pairs that a run was trained on.
    """
    if len(runs) < 2:
        raise UserError("--compare: wants two or more runs")
    began = time.monotonic()
    cache = open_output(output)
    loaded = [Outputs(run, cache) for run in runs]
    domains = loaded[0].translator.config.domain_names
    for one in loaded:
        if one.translator.config.domain_names != domains:
            mine = ", ".join(one.translator.config.domain_names)
            raise UserError(
                f"--compare {one.run}: its domains are {mine}, those of {loaded[0].run} {', '.join(domains)}"
            )
    test, fitting, words = _pairs(loaded, data, pairs, pair_order)
    (output / "figures").mkdir(parents=True, exist_ok=True)
    (output / "tables").mkdir(exist_ok=True)
    section = Section(
        key="comparison",
        title="Translation systems, compared",
        intro=f"Every run on the same {len(test.names)} {words}, inside the head mask, beside floors that need no "
        "learning to speak of, and beside the founding document's table, whose numbers have no source. The intensity "
        "table and pix2pix learn from aligned pairs; the other systems see the same images unpaired.",
    )
    names = _names(loaded)
    for source in domains:
        if any(source in one.sources for one in loaded):
            _direction(section, loaded, names, source, test, fitting, output / "figures")
    section.tables.append(_costs(loaded, names))
    _say_ranks(section, domains)
    write_report(
        output,
        title="Translation systems, compared",
        subtitle=f"{len(loaded)} runs; {words}; {time.strftime('%Y-%m-%d')}",
        sections=[section],
        highlights=[],
        gaps=[],
        provenance=_provenance(loaded, command, time.monotonic() - began, cache),
    )
    return output / REPORT_FILE


def _pairs(loaded: Sequence[Outputs], data, pairs, pair_order) -> tuple:
    configs = [one.translator.config for one in loaded]
    if pairs is not None:
        folder = Path(pairs)
        test = read_pairs(pair_folder(folder, "test") or folder, domains=configs[0].domain_names, order=pair_order)
        training = pair_folder(folder, "train")
        fitting = read_pairs(training, domains=configs[0].domain_names, order=pair_order) if training else None
        _refuse_seen(loaded, test)
        patients = len(np.unique(test.groups))
        return test, fitting, f"pairs of {patients} {test.group_word} ({folder.name})"
    if data not in (None, "phantom") or any(config.data != "phantom" for config in configs):
        raise UserError("--compare: wants aligned pairs; give --pairs DIR (drawn heads only for runs trained on them)")
    drawn = {(config.seed, config.phantoms, config.image_size, config.phantom_pair) for config in configs}
    if len(drawn) > 1:
        raise UserError(
            "--compare: the runs differ in --seed, phantoms or --image-size, so their held-out heads differ"
        )
    heads = phantom_pairs(held_out_phantoms(configs[0]), configs[0])
    return heads, phantom_pairs(training_phantoms(configs[0]), configs[0]), "drawn heads that no run has seen"


def _refuse_seen(loaded: Sequence[Outputs], test: PairedPictures) -> None:
    digests = {hashlib.sha256(np.ascontiguousarray(p)).hexdigest() for images in test.images.values() for p in images}
    for one in loaded:
        manifest = one.run / "manifest.csv"
        rows = read_manifest(manifest) if manifest.exists() else []
        seen = sum(row.split in ("train", "validation") and row.sha256 in digests for row in rows)
        if seen:
            raise UserError(
                f"--compare {one.run}: was trained on {seen} of these images; give test pairs it has not seen"
            )


def _names(loaded: Sequence[Outputs]) -> list:
    models = [one.translator.config.model for one in loaded]
    return [
        f"{model} ({one.run.name})" if models.count(model) > 1 or one.run.name != model else model
        for model, one in zip(models, loaded)
    ]


def _direction(section: Section, loaded, names, source: str, test: PairedPictures, fitting, figures: Path) -> None:
    target = loaded[0].target(source)
    truth, given = test.images[target], test.images[source]
    rows, shown, titles = [], [given, truth], [f"{source}, input", f"{target}, truth"]
    predictions = [(name, np.stack(one.pictures(list(given), source)), "result")
                   for name, one in zip(names, loaded) if source in one.sources]  # fmt: skip
    for name, images, _ in predictions:
        shown.append(images)
        titles.append(name[:22])
    predictions += [("floor: copy of the input", given, "floor")]
    predictions += [
        (name, images, kind) for name, (images, kind) in fitted_floors(test, fitting, source, target).items()
    ]
    how = dict(groups=interval_groups(test), unit=interval_words(test), section=section, cache=loaded[0].cache)
    for name, images, kind in predictions:
        cells = measure(images, truth, _METRICS, mask=test.mask, **how)
        distance = sliced_wasserstein(truth / 255.0, images / 255.0)
        rows.append(Row(name, {**cells, _TEXTURE.key: plain_number(distance, len(images))}, kind))
    config = loaded[0].translator.config
    if source == config.domain_names[0] and config.preset != "field-strength":
        for name, values in _DOCUMENT.items():
            cells = {
                key: plain_number(value, 0, "as printed in the document")
                for key, value in zip(("mae", "rmse", "psnr", "ssim"), values)
            }
            rows.append(Row(f"the document says: {name}", cells, "document"))
    section.tables.append(
        Table(f"compare_{source}2{target}", f"{source} to {target}, inside the head", (*_METRICS, _TEXTURE), rows)
    )
    chosen = np.linspace(0, len(given) - 1, min(_SHOWN, len(given))).astype(int)
    file = f"compare_{source}2{target}.png"
    save_grid(figures / file, [[images[i] / 255.0 for i in chosen] for images in shown], titles=titles,
              footer=SYNTHETIC_NOTICE, cell=150)  # fmt: skip
    caption = f"{source} to {target}: cases spread evenly over the test pairs, not chosen by eye."
    section.figures.append(Figure(file, caption, caption))


def _costs(loaded: Sequence[Outputs], names: Sequence[str]) -> Table:
    rows = []
    for name, one in zip(names, loaded):
        status_file = one.run / "status.json"
        cells = {
            "parameters": plain_number(one.parameters / 1e6, 1),
            "best": plain_number(one.translator.record["step"], 1),
        }
        if status_file.exists():
            status = json.loads(status_file.read_text(encoding="utf-8"))
            cells["steps"] = plain_number(status["step"], 1)
            cells["step_time"] = plain_number(status["seconds"] / max(1, status["step"]), 1)
            cells["minutes"] = plain_number(status["seconds"] / 60, 1)
        rows.append(Row(name, cells))
    return Table("costs", "Sizes and costs", _COST, rows, "Times are those of the trainings, beside whatever else ran.")


def _say_ranks(section: Section, domains: Sequence[str]) -> None:
    for source, target in ((domains[0], domains[1]), (domains[1], domains[0])):
        table = section.table(f"compare_{source}2{target}")
        if table is None:
            continue
        floors = [row.cells["mae"].value for row in table.rows if row.kind == "floor"]
        below = [row.name for row in table.rows if row.kind == "result" and row.cells["mae"].value >= min(floors)]
        if below:
            section.warnings.append(f"{source} to {target}: not better than every floor by MAE: {', '.join(below)}")


def _provenance(loaded: Sequence[Outputs], command, seconds: float, cache: ArrayCache) -> dict:
    texts = {"Command": " ".join(command) or "(called from Python)"}
    for one in loaded:
        config = (one.run / "config.yaml").read_text(encoding="utf-8")
        texts[f"Run {one.run.name}"] = f"weights SHA-256 of all {one.weights_hash}\n{config}"
    texts["Time"] = f"{seconds:.1f} s, {cache.hits} arrays read from the cache, {cache.misses} made"
    return texts
