"""Several translators on one table: same test images, floors, intervals, sizes and costs."""

import itertools
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.runs.session import STATUS_FILE
from common_tf.sources.drawn import DRAWN
from common_tf.sources.pairs import DEFAULT_ORDER
from common_tf.sources.source import listed
from evaluation_tf.features import lite0
from evaluation_tf.floors import copy_floor, fitted_floors
from evaluation_tf.image_sets import ImageSet
from evaluation_tf.images import Images
from evaluation_tf.likeness import likeness_cells, likeness_columns
from evaluation_tf.output import ReportFolder
from evaluation_tf.pairs import Pairs, drawn_pairs, folder_pairs, open_pairs, refuse_or_leave_out
from evaluation_tf.parts import Figure, Section
from evaluation_tf.provenance import command_words, config_words, time_words
from evaluation_tf.report import write_report
from evaluation_tf.similarity import similarity_cells, similarity_columns
from evaluation_tf.translations import Translations

_SHOWN = 4
_LONGEST_TITLE = 22
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
    "CycleGAN": {"mae": 0.034, "rmse": 0.058, "psnr": 25.7, "ssim": 0.85},
    "pix2pix": {"mae": 0.041, "rmse": 0.064, "psnr": 23.9, "ssim": 0.82},
    "UNIT": {"mae": 0.049, "rmse": 0.073, "psnr": 22.4, "ssim": 0.79},
}


def compare(
    runs: Sequence[Path],
    *,
    output: Path,
    data: str | None = None,
    pairs: Path | None = None,
    pair_order: str | None = None,
    command: Sequence[str] = (),
) -> Path:
    """Writes a report with one table a direction, and one of sizes and costs.

    Args:
        runs: two or more runs with the same domains.
        output: folder of the report.
        data: ``phantom`` for drawn heads, which need no ``pairs``; ``None`` where all runs were trained on them.
        pairs: aligned test pairs.
        pair_order: names of a strip's tiles; ``None`` for those of the runs.
        command: the command line, for the report.

    Returns:
        The path of report.html.

    Raises:
        UserError: fewer than two runs, other domains, no pairs, or pairs that a run was trained on.
    """
    if len(runs) < 2:
        raise UserError("--compare: wants two or more runs")
    places = [Path(run).resolve() for run in runs]
    for number, place in enumerate(places):
        if place in places[:number]:
            raise UserError(f"--compare {runs[number]}: is named twice")
    began = time.monotonic()
    with ReportFolder(output) as folder:
        loaded = [Translations(run, folder.cache) for run in runs]
        domains = loaded[0].domains
        for one in loaded:
            if one.translator.is_volumetric:
                raise UserError(f"--compare {one.run}: translates volumes as a whole, and the table is one of slices")
            if one.domains != domains:
                raise UserError(
                    f"--compare {one.run}: its domains are {', '.join(one.domains)}, those of {loaded[0].run} "
                    f"{', '.join(domains)}"
                )
        test, fitting, words = _test_pairs(loaded, data, pairs, pair_order)
        section = Section(
            key="comparison",
            title="Translation systems, compared",
            intro=f"Every run on the same {len(test)} {words}, inside the head mask, beside floors that need no "
            "learning to speak of, and beside the founding document's table, whose numbers have no source. The "
            "intensity table and pix2pix learn from aligned pairs; the other systems see the same images unpaired.",
            warnings=test.caveats,
        )
        names = _names(loaded)
        for source in domains:
            if any(source in one.sources for one in loaded):
                _direction(section, loaded, names, source, test, fitting, folder)
        section.tables.append(_costs(loaded, names))
        _say_ranks(section, domains)
        return write_report(
            folder,
            title="Translation systems, compared",
            subtitle=f"{len(loaded)} runs; {words}; {time.strftime('%Y-%m-%d')}",
            sections=[section],
            gaps=[],
            warnings=[],
            provenance=_provenance(loaded, names, command, time_words(time.monotonic() - began, folder.cache)),
        )


def _test_pairs(
    loaded: Sequence[Translations], data: str | None, pairs: Path | None, order: str | None
) -> tuple[Pairs, Pairs | None, str]:
    if pairs is not None and data is not None:
        raise UserError(f"--data {data}: does not go with --pairs {pairs}; --compare tests on pairs alone")
    if pairs is not None:
        opened = open_pairs(pairs, domains=loaded[0].domains, usual=order or _order_of(loaded), order=order)
        for one in loaded:
            opened = refuse_or_leave_out(opened, one.run, flag="--compare")
        test, fitting = folder_pairs(opened, loaded)
        return test, fitting, f"pairs of {test.group_count} {test.group_word} ({Path(pairs).name})"
    configs = [one.config for one in loaded]
    if order is not None:
        raise UserError(f"--pair-order {order}: is for --pairs")
    if data not in (None, DRAWN) or any(config.data.data != DRAWN for config in configs):
        raise UserError("--compare: wants aligned pairs; give --pairs DIR (drawn heads only for runs trained on them)")
    drawn = {
        (config.optimisation.seed, config.data.phantoms, config.data.image_size, config.data.phantom_pair)
        for config in configs
    }
    if len(drawn) > 1:
        raise UserError(
            "--compare: the runs differ in --seed, phantoms or --image-size, so their held-out heads differ"
        )
    return *drawn_pairs(loaded[0]), "drawn heads that no run has seen"


def _order_of(loaded: Sequence[Translations]) -> str:
    """The runs' own order of a strip's tiles."""
    known = {one.config.data.pair_order for one in loaded if one.config.data.data != DRAWN}
    if len(known) > 1:
        raise UserError(f"--compare: the runs read strips as {listed(sorted(known))}; say which with --pair-order")
    return known.pop() if known else DEFAULT_ORDER


def _names(loaded: Sequence[Translations]) -> list[str]:
    """Of each run, which no other has: rows are found by them."""
    models = [one.config.model for one in loaded]
    places = [one.run.resolve().parts for one in loaded]
    depth = next(depth for depth in itertools.count(1) if len({place[-depth:] for place in places}) == len(places))
    return [
        model if place[-depth:] == (model,) else f"{model} ({'/'.join(place[-depth:])})"
        for model, place in zip(models, places)
    ]


def _direction(
    section: Section,
    loaded: Sequence[Translations],
    names: Sequence[str],
    source: str,
    test: Pairs,
    fitting: Pairs | None,
    folder: ReportFolder,
) -> None:
    target = loaded[0].target(source)
    truth, columns = test.images[target], similarity_columns("head", compared=True)
    likeness = likeness_columns(lite0())
    predictions = list(_predictions(loaded, names, source, test, fitting))
    rows = []
    for key, name, images, kind in predictions:
        cells = similarity_cells(
            images, truth, columns, mask=test.mask, groups=test.interval_groups, of=test.interval_of, section=section,
            cache=folder.cache,
        )  # fmt: skip
        rows.append(Row(name, {**cells, **_looks(truth, images, section, folder)}, kind, key))
    caption, others = "", _other_heads(truth, fitting, target)
    if others is None:
        why = "there are no training pairs, fewer than test pairs, or of another size"
        section.add_gap(f"real {target} beside the likeness", why)
    else:
        caption = "Real slices of the training pairs show other heads than the truth; all other rows show its own."
        cells = _looks(truth, others, section, folder)
        rows.append(Row(f"real {target} of the training pairs", cells, "reference", "real"))
    config = loaded[0].config
    if source == config.data.domain_names[0] and config.preset != "field-strength":
        for name, values in _DOCUMENT.items():
            printed = {key: plain_number(value, 0, "as printed in the document") for key, value in values.items()}
            rows.append(Row(f"the document says: {name}", printed, "document", f"document/{name}"))
    title = f"{source} to {target}, inside the head"
    section.tables.append(Table(f"compare_{source}2{target}", title, (*columns, *likeness, _TEXTURE), rows, caption))
    given = test.images[source]
    shown = [(f"{source}, input", given), (f"{target}, truth", truth)]
    results = [(name, images) for _, name, images, kind in predictions if kind == "result"]
    shown += zip(_titles([name for name, _ in results]), [images for _, images in results])
    section.figures.append(_figure(folder, source, target, shown))


def _looks(truth: Images, images: Images, section: Section, folder: ReportFolder) -> dict[str, Measurement]:
    """How much like the truth a set looks, whichever heads it shows."""
    distance = folder.cache.of_sets("swd", sliced_wasserstein, truth, images)
    cells = likeness_cells(lite0(), truth, images, section, folder.cache)
    return {**cells, _TEXTURE.key: plain_number(distance, len(images))}


def _other_heads(truth: Images, fitting: Pairs | None, target: str) -> Images | None:
    """As many real slices of the training pairs as there are of the truth, where there are so many of its size."""
    if fitting is None or len(fitting) < len(truth):
        return None
    real = fitting.images[target]
    if real.pixels.shape[1:] != truth.pixels.shape[1:]:
        return None
    return ImageSet(real, fitting.groups).some(len(truth), target, "compared").images


def _predictions(
    loaded: Sequence[Translations], names: Sequence[str], source: str, test: Pairs, fitting: Pairs | None
) -> Iterator[tuple[str, str, Images, str]]:
    """Key, name, images and kind of each row that has a truth."""
    for name, one in zip(names, loaded):
        if source in one.sources:
            yield name, name, one.pictures(test.images[source].pictures(), source).images(), "result"
    target = loaded[0].target(source)
    for floor in [copy_floor(test, source), *fitted_floors(test, fitting, source, target)]:
        yield floor.key, floor.name, floor.images, "floor"


def _titles(names: Sequence[str]) -> list[str]:
    """Names that fit above a column; where they would be alike, the systems and their numbers in the table."""
    cut = [name if len(name) <= _LONGEST_TITLE else f"{name[: _LONGEST_TITLE - 1]}…" for name in names]
    if len(set(cut)) == len(cut):
        return cut
    return [f"{number}. {name.partition(' ')[0]}" for number, name in enumerate(names, 1)]


def _figure(folder: ReportFolder, source: str, target: str, shown: Sequence[tuple[str, Images]]) -> Figure:
    count = len(shown[0][1])
    chosen = np.linspace(0, count - 1, min(_SHOWN, count)).astype(int)
    file = f"compare_{source}2{target}.png"
    columns = [list(images.scaled(chosen)) for _, images in shown]
    save_grid(folder.figures / file, columns, titles=[title for title, _ in shown], footer=SYNTHETIC_NOTICE, cell=150)
    caption = f"{source} to {target}: cases spread evenly over the test pairs, not chosen by eye."
    return Figure(file, caption, caption)


def _costs(loaded: Sequence[Translations], names: Sequence[str]) -> Table:
    rows = []
    for name, one in zip(names, loaded):
        status_file = one.run / STATUS_FILE
        cells = {
            "parameters": plain_number(one.parameters / 1e6, 1),
            "best": plain_number(one.translator.record["step"], 1),
        }
        if status_file.exists():
            status = read_json(status_file, way_out="continue the run, which writes it again")
            step, seconds = status.get("step", 0), status.get("seconds", 0.0)
            cells["steps"] = plain_number(step, 1)
            cells["step_time"] = plain_number(seconds / max(1, step), 1)
            cells["minutes"] = plain_number(seconds / 60, 1)
        rows.append(Row(name, cells, key=name))
    return Table("costs", "Sizes and costs", _COST, rows, "Times are those of the trainings, beside whatever else ran.")


def _say_ranks(section: Section, domains: tuple[str, str]) -> None:
    for source, target in (domains, domains[::-1]):
        table = section.table(f"compare_{source}2{target}")
        if table is None:
            continue
        floors = [row.value("mae") for row in table.rows if row.kind == "floor"]
        below = [row.name for row in table.rows if row.kind == "result" and row.value("mae") >= min(floors)]
        if below:
            section.warnings.append(f"{source} to {target}: not better than every floor by MAE: {', '.join(below)}")


def _provenance(
    loaded: Sequence[Translations], names: Sequence[str], command: Sequence[str], time_text: str
) -> dict[str, str]:
    texts = {"Command": command_words(command)}
    for name, one in zip(names, loaded):
        texts[f"Run {name}"] = f"weights SHA-256 of all {one.weights_hash}\n{config_words(one.run)}"
    texts["Time"] = time_text
    return texts
