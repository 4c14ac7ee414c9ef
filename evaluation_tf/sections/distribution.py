"""Does the set of translated images look like the set of real ones?"""

from collections.abc import Sequence

import numpy as np

from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.context import Context
from evaluation_tf.image_sets import ImageSet, outlines_row, row_value, set_columns, set_rows, yardsticks
from evaluation_tf.parts import Card, Section
from evaluation_tf.sections._directions import direction_key, direction_words, side_by_side
from evaluation_tf.slices import Slices, TestSet

ORDER = 10
_OUTLINES = (
    " Outlines alone: masks of the heads of the test slices of both domains. A translation is meant to keep outlines, "
    "so an AUC near that one may come from other heads and not from how they are drawn."
)


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
        # Of a head of the reference they would be nearer than any other real slice can be.
        apart = np.flatnonzero(~np.isin(given.groups, reference.groups))
        count = min(len(reference), len(unseen), len(apart))
        if not count:
            section.add_gap(
                f"{source} to {target}",
                "the test slices are of one group, or of the heads of the reference: none are left to compare",
            )
            continue
        directions.append((source, target))
        chosen = ImageSet(fake, given.groups).chosen(apart).some(count, source)
        inputs = ImageSet(given.squares, given.groups).chosen(apart).some(count, source)
        others = unseen.some(count, target, "unseen")
        rows = (
            ("translated", f"{source} translated to {target}", chosen, "result"),
            ("real", f"real {target}, other slices", others, "reference"),
            ("untranslated", f"{source}, untranslated", inputs, "floor"),
        )
        table = Table(
            key=f"distribution_{direction_key(source, target)}",
            title=f"{source} to {target}",
            columns=set_columns(context.extractors),
            rows=set_rows(
                rows,
                reference=reference.some(count, target, "reference"),
                extractors=context.extractors,
                section=section,
                cache=context.cache,
            ),
            caption=f"Each row against the same {count} real {target} slices ({_reference_words(real)}), with {count} "
            "slices of its own.",
        )
        section.tables.append(table)
        for column in yardsticks(table, "translated"):
            if not _is_nearer(table, column):
                section.warnings.append(
                    f"{source} to {target}: by {_plain(column)} the outputs are no nearer to {target} than the inputs"
                )
    if section.tables:
        section.card = _card(section.tables, directions)
        outlines = _outlines(context, test, section)
        for table in section.tables if outlines.cells else ():
            table.rows = [*table.rows, outlines]
            table.caption += _OUTLINES
    return section


def _outlines(context: Context, test: TestSet, section: Section) -> Row:
    """The heads of both domains as black and white, as many of either; one figure for both directions."""
    first, second = (
        ImageSet(test.slices[name].masks, np.asarray(test.slices[name].groups)) for name in context.domains
    )
    count = min(len(first), len(second))
    sets = {name: one.some(count, name) for name, one in zip(context.domains, (first, second))}
    return outlines_row(sets, section=section, cache=context.cache)


def _halves(real: Slices) -> tuple[ImageSet, ImageSet]:
    """Reference and held-out real slices: training against test where there are training slices, else two halves of
    whole groups.
    """
    tested = ImageSet(real.squares, np.asarray(real.groups))
    if len(real.training):
        return ImageSet(real.training, np.asarray(real.training_groups)), tested
    return tested.halves()


def _reference_words(real: Slices) -> str:
    return "of the training set" if len(real.training) else "one half of the groups"


def _plain(column: Column) -> str:
    return f"the {column.title[:1].lower()}{column.title[1:]}"


def _is_nearer(table: Table, column: Column) -> bool:
    return row_value(table, "translated", column) < row_value(table, "untranslated", column)


def _card(tables: Sequence[Table], directions: Sequence[tuple[str, str]]) -> Card:
    """Good only where every yardstick says so, in every direction."""
    shown = yardsticks(tables[0], "translated")[0]
    result, real, untranslated = (
        [row_value(table, key, shown) for table in tables] for key in ("translated", "real", "untranslated")
    )
    against = {
        column.title for table in tables for column in yardsticks(table, "translated") if not _is_nearer(table, column)
    }
    count = len({column.key for table in tables for column in yardsticks(table, "translated")})
    return Card(
        title=f"Do outputs look real? {shown.title}",
        value=side_by_side(result, shown.digits),
        detail=f"{direction_words(directions)}; untranslated {side_by_side(untranslated, shown.digits)}, real slices "
        f"{side_by_side(real, shown.digits)}; lower is better",
        verdict="bad" if against else "good",
        words=f"not by {', '.join(sorted(against))}" if against else f"nearer than the inputs by all {count}",
    )
