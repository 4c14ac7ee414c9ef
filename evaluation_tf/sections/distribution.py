"""Does the set of translated images look like the set of real ones?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics import frechet, kernel, manifold
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.randomness import Stream
from evaluation_tf.context import Context
from evaluation_tf.features import Extractor
from evaluation_tf.images import Images
from evaluation_tf.parts import Card, Section
from evaluation_tf.sections._directions import direction_key, direction_words, side_by_side
from evaluation_tf.slices import Slices
from evaluation_tf.two_sample import DEFINITION, two_sample_auc

ORDER = 10
_CHOSEN = Stream("evaluation.distribution")
_SWD = Column(
    "swd",
    "Texture distance",
    "sliced Wasserstein distance of 7x7 patches over a Laplacian pyramid (after Karras et al. 2018), in standard "
    "deviations of the real patches; squares of the network's size on [0, 1]; no trained network",
    better="lower",
)
_TWO_SAMPLE = Column("two_sample", "Two-sample AUC", DEFINITION, better="lower", digits=2)


@dataclass(frozen=True)
class _Set:
    """Squares and their groups."""

    images: Images
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, indices: np.ndarray) -> "_Set":
        return _Set(self.images.chosen(indices), self.groups[indices])


def build(context: Context) -> Section | None:
    """Distances of both directions' outputs to real slices, beside real against real and untranslated against real."""
    outputs, test = context.translation, context.test
    if outputs is None or test is None:
        return None
    section = Section(
        key="distribution",
        title="Do translated images look real?",
        intro="Distances between the set of translated slices and real slices of the target domain, by several "
        "yardsticks, for each sees what others do not. They say nothing of any single image: a generator that ignores "
        "its input can score well here.",
    )
    directions = []
    for source in outputs.sources:
        target = outputs.target(source)
        given, real = test.slices[source], test.slices[target]
        fake, _ = outputs.squares(given.squares, source)
        reference, unseen = _halves(real)
        count = min(len(reference), len(unseen), len(fake))
        if not count:
            section.add_gap(
                f"{source} to {target}", "the test slices are of one group: no real slices to compare others with"
            )
            continue
        directions.append((source, target))
        chosen = _some(len(fake), count, source)
        rows = (
            ("translated", f"{source} translated to {target}", _Set(fake, given.groups).chosen(chosen), "result"),
            (
                "real",
                f"real {target}, other slices",
                unseen.chosen(_some(len(unseen), count, target, "unseen")),
                "reference",
            ),
            (
                "untranslated",
                f"{source}, untranslated",
                _Set(given.squares, given.groups).chosen(chosen),
                "floor",
            ),
        )
        reference = reference.chosen(_some(len(reference), count, target, "reference"))
        table = Table(
            key=f"distribution_{direction_key(source, target)}",
            title=f"{source} to {target}",
            columns=[
                *(column for extractor in context.extractors for column in _columns(extractor)),
                _TWO_SAMPLE,
                _SWD,
            ],
            rows=[_row(row, reference, context, section) for row in rows],
            caption=f"Each row against the same {count} real {target} slices ({_reference_words(real)}), with {count} "
            "slices of its own.",
        )
        section.tables.append(table)
        for column in _yardsticks(table):
            if not _is_nearer(table, column):
                section.warnings.append(
                    f"{source} to {target}: by {_plain(column)} the outputs are no nearer to {target} than the inputs"
                )
    if section.tables:
        section.card = _card(section.tables, directions)
    return section


def _row(row: tuple, reference: _Set, context: Context, section: Section) -> Row:
    key, name, mine, kind = row
    distance = context.cache.of_sets("swd", sliced_wasserstein, reference.images, mine.images)
    cells = {_SWD.key: plain_number(distance, len(mine))}
    for extractor in context.extractors:
        cells.update(_distances(extractor, reference.images, mine.images, context, section))

    def told_apart() -> Measurement:
        groups = reference.groups, mine.groups
        return two_sample_auc(reference.images, mine.images, groups, cache=context.cache)

    _add(cells, section, _TWO_SAMPLE, told_apart)
    return Row(name, cells, kind, key)


def _add(cells: dict[str, Measurement], section: Section, column: Column, compute: Callable[[], Measurement]) -> None:
    """Adds a cell, or names the gap where there are too few images for it."""
    try:
        cells[column.key] = compute()
    except ValueError as error:
        section.add_gap(column.title, str(error))


def _columns(extractor: Extractor) -> list[Column]:
    """Of its Fréchet distance, its kernel distance, and precision and recall."""
    word, description = extractor.word, extractor.description
    near = f"whose balls reach to the {manifold.NEIGHBOURS}rd nearest fellow (Kynkäänniemi et al. 2019); {description}"
    return [
        Column(
            f"kid_{word}",
            extractor.kernel_name,
            "unbiased squared MMD with the kernel (x.y/d + 1)^3 (Binkowski et al. 2018), times 1000; mean and one "
            f"standard deviation over 100 random subsets of half the images; {description}",
            better="lower",
            digits=1,
        ),
        Column(
            f"frechet_{word}",
            extractor.name,
            f"Fréchet distance of Gaussians fitted to features (Heusel et al. 2017); {description}. Biased upwards at "
            "small n: compare with rows of equal n only",
            better="lower",
            digits=2,
        ),
        Column(
            f"precision_{word}",
            "Precision",
            f"share of the row's slices that lie among the reference slices, {near}: how real single slices are",
            better="higher",
            digits=2,
        ),
        Column(
            f"recall_{word}",
            "Recall",
            f"share of the reference slices that lie among the row's, {near}: how much of the variety is there",
            better="higher",
            digits=2,
        ),
    ]


def _distances(
    extractor: Extractor, reference: Images, squares: Images, context: Context, section: Section
) -> dict[str, Measurement]:
    cells: dict[str, Measurement] = {}
    likeness, distance, precision, recall = _columns(extractor)
    features = [extractor.features(images, context.cache).astype(np.float64) for images in (reference, squares)]

    def kernel_cell() -> Measurement:
        result = kernel.kernel_distance(*features)
        mean, spread = 1000 * result["mean"], 1000 * result["standard_deviation"]
        words = f"mean -+ one standard deviation over {result['subsets']} subsets of {result['subset_size']}"
        return Measurement(mean, len(squares), mean - spread, mean + spread, interval=words)

    _add(cells, section, likeness, kernel_cell)
    _add(cells, section, distance, lambda: plain_number(frechet.frechet_distance(*features), len(squares)))
    for column, part in ((precision, 0), (recall, 1)):

        def share(part: int = part) -> Measurement:
            return plain_number(manifold.precision_recall(*features)[part], len(squares))

        _add(cells, section, column, share)
    return cells


def _some(total: int, count: int, *words: str) -> np.ndarray:
    """Which of ``total`` images are compared: drawn, for the first ones of a folder are often of one patient."""
    return np.sort(_CHOSEN.numpy(0, *words).permutation(total)[:count])


def _halves(real: Slices) -> tuple[_Set, _Set]:
    """Reference and held-out real slices: training against test where there are training slices, else two halves of
    whole groups.
    """
    tested = _Set(real.squares, np.asarray(real.groups))
    if len(real.training):
        return _Set(real.training, np.asarray(real.training_groups)), tested
    names = np.unique(real.groups)
    first = np.isin(real.groups, _CHOSEN.numpy(0, "halves").permutation(names)[: len(names) // 2])
    return tested.chosen(np.flatnonzero(first)), tested.chosen(np.flatnonzero(~first))


def _reference_words(real: Slices) -> str:
    return "of the training set" if len(real.training) else "one half of the groups"


def _yardsticks(table: Table) -> list[Column]:
    """The columns by which the outputs must be nearer than the inputs: a kernel distance of each network, the
    two-sample test, and the texture; those that could be computed.
    """
    chosen = [one for one in table.columns if one.key.startswith("kid_") or one in (_TWO_SAMPLE, _SWD)]
    return [column for column in chosen if np.isfinite(_value(table, "translated", column))]


def _plain(column: Column) -> str:
    return f"the {column.title[:1].lower()}{column.title[1:]}"


def _value(table: Table, key: str, column: Column) -> float:
    row = table.row(key)
    return float("nan") if row is None else row.value(column.key)


def _is_nearer(table: Table, column: Column) -> bool:
    return _value(table, "translated", column) < _value(table, "untranslated", column)


def _card(tables: Sequence[Table], directions: Sequence[tuple[str, str]]) -> Card:
    """Good only where every yardstick says so, in every direction."""
    shown = _yardsticks(tables[0])[0]
    result, real, untranslated = (
        [_value(table, key, shown) for table in tables] for key in ("translated", "real", "untranslated")
    )
    against = {column.title for table in tables for column in _yardsticks(table) if not _is_nearer(table, column)}
    count = len({column.key for table in tables for column in _yardsticks(table)})
    return Card(
        title=f"Do outputs look real? {shown.title}",
        value=side_by_side(result, shown.digits),
        detail=f"{direction_words(directions)}; untranslated {side_by_side(untranslated, shown.digits)}, real slices "
        f"{side_by_side(real, shown.digits)}; lower is better",
        verdict="bad" if against else "good",
        words=f"not by {', '.join(sorted(against))}" if against else f"nearer than the inputs by all {count}",
    )
