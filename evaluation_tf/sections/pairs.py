"""Is the translation right? Outputs against aligned truth."""

from collections.abc import Iterator, Sequence

from common_tf.measurement.measurement import Measurement
from common_tf.measurement.tables import Row, Table
from evaluation_tf.context import Context
from evaluation_tf.floors import black_floor, copy_floor, fitted_floors, stranger_floor
from evaluation_tf.images import Images
from evaluation_tf.pairs import Pairs
from evaluation_tf.parts import Card, Gap, Section
from evaluation_tf.sections._directions import direction_key, direction_words, side_by_side
from evaluation_tf.similarity import REGIONS, similarity_cells, similarity_columns
from evaluation_tf.translations import Translations

ORDER = 20


def build(context: Context) -> Section | None:
    """Output against aligned truth, beside the floors."""
    outputs, pairs = context.translation, context.pairs
    if outputs is None:
        return None
    if pairs is None:
        context.gaps.append(Gap("outputs against aligned truth", "no aligned pairs; give some with --pairs"))
        return None
    section = Section(
        key="pairs",
        title="Is the translation right?",
        intro=f"Outputs against the aligned truth of {len(pairs)} pairs ({pairs.name}), at the pictures' own size. The "
        "floors need no learning to speak of; a translator below them has learnt to look right, not to be right. The "
        "intensity table is fitted on aligned pairs, which an unpaired translator never sees.",
        warnings=pairs.caveats,
    )
    directions = [(source, outputs.target(source)) for source in outputs.sources]
    for source, target in directions:
        predictions = list(_predictions(outputs, pairs, context.fitting, source, target))
        for region, words in REGIONS.items():
            columns = similarity_columns(region)
            mask = pairs.mask if region == "head" else None
            rows = []
            for key, name, images, kind in predictions:
                cells = similarity_cells(
                    images,
                    pairs.images[target],
                    columns,
                    mask=mask,
                    groups=pairs.interval_groups,
                    of=pairs.interval_of,
                    section=section,
                    cache=context.cache,
                )
                rows.append(Row(name, cells, kind, key))
            name = f"pairs_{direction_key(source, target)}_{region}"
            section.tables.append(Table(name, f"{source} to {target}, {words}", columns, rows))
        _compare(section, source, target)
    section.card = _card(section, directions)
    return section


def _predictions(
    outputs: Translations, pairs: Pairs, fitting: Pairs | None, source: str, target: str
) -> Iterator[tuple[str, str, Images, str]]:
    """Key, name, images and kind of each row."""
    yield "translator", "translator", outputs.pictures(pairs.images[source].pictures(), source).images(), "result"
    floors = [copy_floor(pairs, source), black_floor(pairs, source), *fitted_floors(pairs, fitting, source, target)]
    for floor in [*floors, *stranger_floor(pairs, target)]:
        yield floor.key, floor.name, floor.images, "floor"


def _head_table(section: Section, source: str, target: str) -> Table:
    table = section.table(f"pairs_{direction_key(source, target)}_head")
    assert table is not None
    return table


def _result(table: Table) -> Row:
    return next(row for row in table.rows if row.kind == "result")


def _floors(table: Table) -> list[Row]:
    return [row for row in table.rows if row.kind == "floor"]


def _compare(section: Section, source: str, target: str) -> None:
    table = _head_table(section, source, target)
    result = _result(table).value("mae")
    beaten_by = [row.name for row in _floors(table) if row.value("mae") <= result]
    if beaten_by:
        section.warnings.append(
            f"{source} to {target}: by MAE in the head the translator does not beat {', '.join(beaten_by)}"
        )


def _card(section: Section, directions: Sequence[tuple[str, str]]) -> Card:
    tables = [_head_table(section, *direction) for direction in directions]
    result = [_result(table) for table in tables]
    floors = {key: [_value(table, key) for table in tables] for key in ("copy", "table")}
    best = [min(row.value("mae") for row in _floors(table)) for table in tables]
    good = all(row.value("mae") < floor for row, floor in zip(result, best))
    measured = result[0].cells["mae"]
    count = measured.n if isinstance(measured, Measurement) else 0
    return Card(
        title="Are they right? MAE against the truth, in the head",
        value=side_by_side(row.value("mae") for row in result),
        detail=f"{direction_words(directions)}; n = {count} pairs; copy of the input "
        f"{side_by_side(floors['copy'])}, intensity table {side_by_side(floors['table'])}; lower is better",
        verdict="good" if good else "bad",
        words="above all floors" if good else "below a floor, see the table",
    )


def _value(table: Table, key: str) -> float:
    row = table.row(key)
    return float("nan") if row is None else row.value("mae")
