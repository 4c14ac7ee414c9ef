"""report.html, report.json and tables/*.csv from the sections of an evaluation."""

import base64
import csv
import io
from pathlib import Path
from typing import Mapping, Optional, Sequence

import jinja2
from markupsafe import Markup

from common_tf.errors import UserError
from common_tf.runs.files import replace_json, replace_text
from evaluation_tf.cache import ArrayCache
from evaluation_tf.measurement import Column, Gap, Highlight, Measurement, Row, Section, Table

BANNER = "Research only. Synthetic images made by a neural network. Not for diagnosis."
REPORT_FILE, JSON_FILE = "report.html", "report.json"
_ARROWS = {"higher": " ↑", "lower": " ↓", "": ""}
_TEMPLATE = Path(__file__).with_name("report.html.j2")


def open_output(output: Path) -> ArrayCache:
    """The cache of an output folder that may be written to: a new one, or one with an earlier report.

    Raises:
        UserError: the folder holds something else.
    """
    output = Path(output)
    if output.exists() and not output.is_dir():
        raise UserError(f"--output {output}: is a file; give a folder")
    ours = (output / JSON_FILE).exists() or (output / "cache").exists()
    if output.is_dir() and any(output.iterdir()) and not ours:
        raise UserError(f"--output {output}: holds other files and no report; give a new folder")
    return ArrayCache(output / "cache")


def write_report(
    output: Path,
    *,
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    highlights: Sequence[Highlight],
    gaps: Sequence[Gap],
    provenance: Mapping[str, str],
) -> None:
    """Writes the report; figures must stand in ``output/figures`` already.

    Args:
        output: folder.
        title, subtitle: of the page.
        sections: in order.
        highlights: for the summary.
        gaps: whole sections that could not be computed.
        provenance: titles and texts: commands, configs, hashes, versions.
    """
    warnings = [warning for section in sections for warning in section.warnings]
    everything = list(dict.fromkeys([*gaps, *(gap for section in sections for gap in section.gaps)]))
    for section in sections:
        for table in section.tables:
            replace_text(output / "tables" / f"{table.key}.csv", _csv(table))
    record = {
        "title": title,
        "banner": BANNER,
        "warnings": warnings,
        "not_computed": [vars(gap) for gap in everything],
        "summary": [vars(item) for item in highlights],
        "sections": {section.key: _record(section) for section in sections},
        "provenance": dict(provenance),
    }
    replace_json(output / JSON_FILE, record)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["embedded"] = lambda file: _embedded(output / "figures" / file)
    environment.filters["cell"] = _cell
    environment.filters["texts"] = _text_columns
    environment.filters["common_count"] = _common_count
    page = environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        subtitle=subtitle,
        banner=BANNER,
        sections=sections,
        highlights=highlights,
        warnings=warnings,
        gaps=everything,
        provenance=list(provenance.items()),
        arrows=_ARROWS,
    )
    replace_text(output / REPORT_FILE, page)


def _record(section: Section) -> dict:
    return {
        "title": section.title,
        "warnings": list(section.warnings),
        "not_computed": [vars(gap) for gap in section.gaps],
        "figures": [vars(figure) for figure in section.figures],
        "tables": {table.key: _table_record(table) for table in section.tables},
    }


def _table_record(table: Table) -> dict:
    rows = []
    for row in table.rows:
        cells = {
            key: cell.as_dict() if isinstance(cell, Measurement) else {"text": str(cell)}
            for key, cell in row.cells.items()
        }
        rows.append({"name": row.name, "kind": row.kind, **cells})
    columns = {c.key: {"title": c.title, "definition": c.definition, "better": c.better or None} for c in table.columns}
    return {"title": table.title, "caption": table.caption, "columns": columns, "rows": rows}


def _csv(table: Table) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["row", "kind", "metric", "value", "low", "high", "n", "interval"])
    for row in table.rows:
        for column in table.columns:
            cell = row.cells.get(column.key)
            if isinstance(cell, Measurement):
                record = cell.as_dict()
                values = [record.get(name) for name in ("value", "low", "high", "n", "interval")]
            elif cell is None:
                continue
            else:
                values = [str(cell), None, None, None, None]
            writer.writerow([row.name, row.kind, column.key, *values])
    return buffer.getvalue()


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


def _common_count(row: Row) -> Optional[int]:
    """The n of a row where all its numbers have the same; ``None`` where they differ or there are none."""
    counts = {cell.n for cell in row.cells.values() if isinstance(cell, Measurement)}
    return counts.pop() if len(counts) == 1 else None


def _text_columns(table: Table) -> set:
    return {
        column.key
        for column in table.columns
        if any(column.key in row.cells and not isinstance(row.cells[column.key], Measurement) for row in table.rows)
    }


def _embedded(file: Path) -> Markup:
    kind = "jpeg" if file.suffix in (".jpg", ".jpeg") else "png"
    return Markup(f"data:image/{kind};base64,{base64.b64encode(file.read_bytes()).decode('ascii')}")
