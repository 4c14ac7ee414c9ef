"""manifest.csv: every file of a run with its hashes, group and split, so that a number can be traced to its files."""

import csv
import io
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Sequence

from common_tf.runs.files import replace_text
from common_tf.splits.scanning import ScannedFile


@dataclass(frozen=True)
class ManifestRow:
    """One file. ``split`` is train, validation, test, or ``skipped`` with the reason in ``note``."""

    path: str
    label: str
    sha256: str
    phash: str
    group: str
    given_split: str
    split: str
    note: str = ""


def manifest_row(data: Path, file: ScannedFile, *, split: str, group: str, note: str = "") -> ManifestRow:
    """The row of a scanned file, its path relative to the data folder."""
    return ManifestRow(
        path=file.path.relative_to(data).as_posix(),
        label=file.label,
        sha256=file.sha256,
        phash=file.phash_hex,
        group=group,
        given_split=file.given_split,
        split=split,
        note=note,
    )


def write_manifest(path: Path, rows: Sequence[ManifestRow]) -> None:
    """Writes the rows as CSV with a header, in one piece."""
    replace_text(path, manifest_text(rows))


def manifest_text(rows: Sequence[ManifestRow]) -> str:
    """The manifest as text, as it stands in the file."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [field.name for field in fields(ManifestRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return buffer.getvalue()


def read_manifest(path: Path) -> list:
    """Reads what `write_manifest` wrote."""
    with open(path, newline="", encoding="utf-8") as stream:
        return [ManifestRow(**row) for row in csv.DictReader(stream)]
