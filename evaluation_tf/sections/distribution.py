"""Does the set of translated images look like the set of real ones?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.randomness import Stream
from evaluation_tf.context import Context
from evaluation_tf.images import Images
from evaluation_tf.likeness import add_cell, likeness_cells, likeness_columns
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
                *(column for extractor in context.extractors for column in likeness_columns(extractor)),
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
        cells.update(likeness_cells(extractor, reference.images, mine.images, section, context.cache))

    def told_apart() -> Measurement:
        groups = reference.groups, mine.groups
        return two_sample_auc(reference.images, mine.images, groups, cache=context.cache)

    add_cell(cells, section, _TWO_SAMPLE, told_apart)
    return Row(name, cells, kind, key)


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
