"""Tables as CSV for spreadsheets: names that these would take for formulas are marked, and read back as they were.

A file that somebody gave may be called ``=HYPERLINK(...)``; the mark is the apostrophe that spreadsheets know (OWASP,
CSV injection).
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

_MARK = "'"
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_FIRST = frozenset((*_FORMULAS, _MARK))  # of most cells the first letter is enough


def csv_text(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table with a header.

    Args:
        names: of the columns.
        rows: cells in the order of the columns.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerows([_marked(cell) for cell in row] for row in [names, *rows])
    return buffer.getvalue()


def csv_text_of(names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """The same from rows that name their cells."""
    return csv_text(names, ([row[name] for name in names] for row in rows))


def read_csv(stream: TextIO) -> tuple[list[str], list[list[str]]]:
    """Header and rows of what `csv_text` wrote.

    Raises:
        ValueError: there is no header.
        csv.Error, UnicodeDecodeError: it is no CSV, or no text.
    """
    header, *rows = [[_unmarked(cell) for cell in row] for row in csv.reader(stream)]
    return header, rows


def _marked(cell: Any) -> Any:
    if not isinstance(cell, str) or cell[:1] not in _FIRST:
        return cell
    if not (cell.startswith(_FORMULAS) or _is_marked(cell)) or _is_number(cell):
        return cell
    return _MARK + cell


def _unmarked(cell: str) -> str:
    return cell[1:] if _is_marked(cell) else cell


def _is_marked(cell: str) -> bool:
    return cell.startswith(_MARK) and cell[1:].startswith((*_FORMULAS, _MARK))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
