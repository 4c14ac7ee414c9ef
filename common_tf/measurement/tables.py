"""Tables of measurements, for terminals, CSV, JSON and pages alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from common_tf.csv_table import csv_text
from common_tf.measurement.measurement import Measurement


@dataclass(frozen=True)
class Column:
    """A metric.

    Attributes:
        key: name in JSON and CSV.
        title: heading.
        definition: the formula or its source, and the range of the images it takes.
        better: ``higher``, ``lower``, or ``""`` where neither is.
        digits: after the point.
    """

    key: str
    title: str
    definition: str
    better: str = ""
    digits: int = 3


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        name: what was measured.
        cells: `Measurement` (or text) by column key; a missing one prints as a dash.
        kind: ``result``, ``floor`` (what must be beaten), ``reference`` (what can be hoped for) or ``document`` (what
            the founding document prints).
        key: a stable name by which other parts find the row; ``""`` for none.
    """

    name: str
    cells: Mapping[str, Measurement | str]
    kind: str = "result"
    key: str = ""

    def value(self, column: str) -> float:
        """The number in a column; nan where there is none."""
        cell = self.cells.get(column)
        return cell.value if isinstance(cell, Measurement) else float("nan")


@dataclass
class Table:
    """Rows of the same metrics."""

    key: str
    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    caption: str = ""

    def row(self, key: str) -> Row | None:
        """The first row of that key, or ``None``."""
        return next((row for row in self.rows if row.key == key), None)

    def as_dict(self) -> dict:
        """For JSON."""
        rows = []
        for row in self.rows:
            cells = {
                key: cell.as_dict() if isinstance(cell, Measurement) else {"text": str(cell)}
                for key, cell in row.cells.items()
            }
            rows.append({"name": row.name, "kind": row.kind, "key": row.key, **cells})
        columns = {
            c.key: {"title": c.title, "definition": c.definition, "better": c.better or None} for c in self.columns
        }
        return {"title": self.title, "caption": self.caption, "columns": columns, "rows": rows}

    def as_csv(self) -> str:
        """One line a number: row, kind, metric, value, low, high, n, interval."""
        lines = []
        for row in self.rows:
            for column in self.columns:
                cell = row.cells.get(column.key)
                if cell is None:
                    continue
                values: list = [str(cell), None, None, None, None]
                if isinstance(cell, Measurement):
                    record = cell.as_dict()
                    values = [record.get(name) for name in ("value", "low", "high", "n", "interval")]
                lines.append([row.name, row.kind, column.key, *values])
        return csv_text(["row", "kind", "metric", "value", "low", "high", "n", "interval"], lines)

    def as_lines(self) -> list[str]:
        """For a terminal."""
        lines = [f"  {self.title:28}" + "".join(f"{column.title:>25}" for column in self.columns)]
        for row in self.rows:
            cells = [_terminal_cell(row.cells.get(column.key), column) for column in self.columns]
            lines.append(f"    {row.name:26}" + "".join(f"{cell:>25}" for cell in cells))
        return lines


def _terminal_cell(cell: Measurement | str | None, column: Column) -> str:
    if cell is None:
        return "–"
    return cell.text(column.digits) if isinstance(cell, Measurement) else str(cell)
