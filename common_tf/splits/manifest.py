"""manifest.csv: every file of a run with its hashes, group and split, so that a number can be traced to its files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from pathlib import Path

from common_tf.csv_table import csv_text, read_csv
from common_tf.errors import UserError
from common_tf.files import replace_text
from common_tf.sources.scanning import Scan

MANIFEST_FILE = "manifest.csv"


@dataclass(frozen=True)
class ManifestRow:
    """One picture. ``split`` is train, validation, test, unused, a fold, or ``skipped`` with the reason in ``note``.

    ``path`` is relative to the data folder, ``sha256`` that of the file's bytes (with its mask's, where it has one).
    """

    path: str
    label: str
    sha256: str
    phash: str
    group: str
    given_split: str
    split: str
    note: str = ""


def manifest_row(scan: Scan, *, split: str, group: int | None, note: str = "") -> ManifestRow:
    """The row of a scanned picture."""
    number = "" if group is None else f"{group:05d}"
    return ManifestRow(
        scan.name, scan.label, scan.sha256, scan.phash_hex, number, scan.given_split, split, note or scan.problem
    )


def with_split(rows: Sequence[ManifestRow], split: str) -> list[ManifestRow]:
    """The rows with another split."""
    return [replace(row, split=split) for row in rows]


def write_manifest(path: Path, rows: Sequence[ManifestRow]) -> None:
    """Writes the rows as CSV with a header, in one piece."""
    replace_text(path, manifest_text(rows))


def manifest_text(rows: Sequence[ManifestRow]) -> str:
    """The manifest as text, as it stands in the file."""
    names = [field.name for field in fields(ManifestRow)]
    return csv_text(names, map(attrgetter(*names), rows))


def read_manifest(path: Path) -> list[ManifestRow]:
    """Reads what `write_manifest` wrote.

    Raises:
        UserError: it is missing, or no manifest.
    """
    columns = [field.name for field in fields(ManifestRow)]
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            header, rows = read_csv(stream)
        if header != columns or any(len(row) != len(columns) for row in rows):
            raise ValueError("other columns")
        return [ManifestRow(*row) for row in rows]
    except (OSError, ValueError, csv.Error) as error:  # an empty file has no header; bytes that are no UTF-8
        reason = "not found" if isinstance(error, FileNotFoundError) else "not a manifest of a run, or cut"
        raise UserError(f"{path}: {reason}; it lists what a run has trained on") from error
