"""report.html, report.json and tables/*.csv from the sections of an evaluation."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import jinja2
from markupsafe import Markup

from common_tf.measurement.measurement import Measurement
from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.output import ReportFolder
from evaluation_tf.overview import overviews
from evaluation_tf.parts import Figure, Gap, Section

BANNER = "Research only. Synthetic images made by a neural network. Not for diagnosis."
_ARROWS = {"higher": "\N{NO-BREAK SPACE}↑", "lower": "\N{NO-BREAK SPACE}↓", "": ""}
_TEMPLATE = Path(__file__).with_name("report.html.j2")


def write_report(
    folder: ReportFolder,
    *,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    gaps: Sequence[Gap],
    warnings: Sequence[str],
    provenance: Mapping[str, str],
) -> Path:
    """Writes the report.

    Args:
        folder: with the figures.
        title, subtitle: of the page.
        sections: in order.
        gaps: whole parts that could not be computed.
        warnings: of the whole report.
        provenance: titles and texts: commands, configs, hashes, versions.

    Returns:
        The path of report.html.
    """
    folder.figures.mkdir(parents=True, exist_ok=True)
    for section in sections:
        section.warnings += _of_few(section)
    opening = {section.key: overviews(section, folder.figures) for section in sections}
    everything = list(dict.fromkeys([*gaps, *(gap for section in sections for gap in section.gaps)]))
    said = list(dict.fromkeys([*warnings, *(warning for section in sections for warning in section.warnings)]))
    cards = [section.card for section in sections if section.card is not None]
    record = {
        "title": title,
        "banner": BANNER,
        "warnings": said,
        "not_computed": [asdict(gap) for gap in everything],
        "summary": [asdict(card) for card in cards],
        "sections": {section.key: _record(section, opening[section.key]) for section in sections},
        "provenance": dict(provenance),
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["embedded"] = lambda file: _embedded(folder.figures / file)
    environment.filters["cell"] = _cell
    environment.filters["texts"] = _text_columns
    environment.filters["common_count"] = _common_count
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        subtitle=subtitle,
        banner=BANNER,
        sections=sections,
        opening=opening,
        cards=cards,
        warnings=said,
        gaps=everything,
        provenance=list(provenance.items()),
        arrows=_ARROWS,
    )
    tables = {table.key: table.as_csv() for section in sections for table in section.tables}
    return folder.publish(page=page, record=record, tables=tables)


def _record(section: Section, opening: Sequence[Figure]) -> dict:
    return {
        "title": section.title,
        "warnings": list(section.warnings),
        "not_computed": [asdict(gap) for gap in section.gaps],
        "figures": [asdict(figure) for figure in (*opening, *section.figures)],
        "tables": {table.key: table.as_dict() for table in section.tables},
    }


def _of_few(section: Section) -> list[str]:
    """A warning of the figure that says least of others: of one group, or with an interval over few."""
    cells = [cell for table in section.tables for row in table.rows for cell in row.cells.values()]
    few = [cell for cell in cells if isinstance(cell, Measurement) and cell.is_of_few]
    least = min(few, key=lambda cell: cell.groups, default=None)
    if least is None:
        return []
    if least.groups == 1:
        return [f"{section.title} There are figures of one patient or group alone: they say nothing of others"]
    return [f"{section.title} The {least.interval} says little of others"]


def _cell(row: Row, column: Column) -> Markup:
    """A table cell; everything in it is escaped."""
    cell = row.cells.get(column.key)
    label = Markup(' data-label="%s"') % column.title
    if cell is None:
        return Markup("<td{}>–</td>").format(label)
    if not isinstance(cell, Measurement):
        return Markup('<td class="text"{}>{}</td>').format(label, str(cell))
    value, _, interval = cell.text(column.digits).partition(" ")
    words = "; ".join(part for part in (f"n = {cell.n}", cell.interval, cell.note) if part)
    inner = Markup("{}").format(value)
    if interval:
        inner += Markup('<span class="interval">{}</span>').format(interval)
    if _common_count(row) is None:
        inner += Markup('<span class="n">n = {}</span>').format(cell.n)
    return Markup('<td{} title="{}"><span class="cell">{}</span></td>').format(label, words, inner)


def _common_count(row: Row) -> int | None:
    """The n of a row where all its numbers have the same; ``None`` where they differ or there are none."""
    counts = {cell.n for cell in row.cells.values() if isinstance(cell, Measurement)}
    return counts.pop() if len(counts) == 1 else None


def _text_columns(table: Table) -> set[str]:
    return {
        column.key
        for column in table.columns
        if any(column.key in row.cells and not isinstance(row.cells[column.key], Measurement) for row in table.rows)
    }


def _embedded(file: Path) -> Markup:
    kind = "jpeg" if file.suffix in (".jpg", ".jpeg") else "png"
    return Markup(f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}")  # noqa: S704 (base64)
