"""A picture of a table: the values of its leading column with their intervals, floors and references on one axis."""

import math
from pathlib import Path

from common_tf.measurement.measurement import Measurement
from common_tf.measurement.tables import Column, Row, Table
from detector_tf.drawing import literal, plt, save_figure
from evaluation_tf.parts import Figure, Section

_COLOURS = {"result": "#1f5fa8", "floor": "#b26a00", "reference": "#1b7f4b", "document": "#7a6f94"}
_WORDS = {"higher": "right is better", "lower": "left is better", "": ""}
_WIDTH, _ROW, _REST = 5.0, 0.28, 0.95
_LONGEST_NAME = 44
_MOST = 4


def overviews(section: Section, figures: Path) -> list[Figure]:
    """A picture of each of a section's first tables that has values to compare.

    Args:
        section: with its tables.
        figures: folder of the report's figures.
    """
    found: list[Figure] = []
    for table in section.tables:
        column = leading_column(table)
        if column is not None and len(found) < _MOST:
            found.append(_drawn(table, column, figures / f"overview_{table.key}.png"))
    return found


def leading_column(table: Table) -> Column | None:
    """The first column in which two rows and more, one of them a floor or a reference, have a number."""
    for column in table.columns:
        rows = [row for row in table.rows if math.isfinite(row.value(column.key))]
        kinds = {row.kind for row in rows}
        if column.better and len(rows) > 1 and "result" in kinds and kinds & {"floor", "reference"}:
            return column
    return None


def _drawn(table: Table, column: Column, file: Path) -> Figure:
    rows = [row for row in table.rows if math.isfinite(row.value(column.key))]
    figure, axes = plt.subplots(figsize=(_WIDTH, _REST + _ROW * len(rows)), dpi=110, layout="constrained")
    for place, row in enumerate(rows):
        cell, colour = row.cells[column.key], _COLOURS[row.kind]
        assert isinstance(cell, Measurement)  # value() is finite
        if cell.has_interval:
            axes.plot([cell.low, cell.high], [place, place], color=colour, lw=1.6, alpha=0.6)
        axes.plot(cell.value, place, "o", color=colour, ms=6)
        axes.annotate(
            f"{cell.value:.{column.digits}f}",
            (cell.value, place),
            (0, 5),
            textcoords="offset points",
            fontsize=7,
            ha="center",
        )
    axes.set_yticks(range(len(rows)), [literal(_short(row)) for row in rows], fontsize=8)
    for label, row in zip(axes.get_yticklabels(), rows):
        label.set_color(_COLOURS[row.kind])
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.margins(x=0.12)
    axes.grid(axis="x", color="#d9dee7", lw=0.6)
    axes.tick_params(axis="x", labelsize=7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    # Of the figure and not of its axes, which long names of rows leave little room.
    figure.supxlabel(literal(f"{column.title} ({_WORDS[column.better]})"), fontsize=8)
    figure.suptitle(literal(table.title), fontsize=9)
    save_figure(figure, file)
    words = ", ".join(f"{row.name} {row.value(column.key):.{column.digits}f}" for row in rows)
    caption = f"{table.title}: {column.title}."
    return Figure(file.name, caption, f"{table.title}, {column.title}: {words}")


def _short(row: Row) -> str:
    name = row.name.removeprefix("floor: ")
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
