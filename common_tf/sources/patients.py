"""Who is who: patients.csv, and a warning where file names look like patients and nobody said so.

patients.csv has the columns ``file`` and ``patient``. It lies in the data folder, above it where that is one of the
folders of a split, or anywhere below it; its files are named relative to its own folder, with or without their ending,
or by their bare names where those are unique.
"""

import csv
import os
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from common_tf.errors import UserError
from common_tf.sources.source import SPLIT_FOLDERS, Case, listed
from common_tf.splits.finding import Finding
from common_tf.volumes.files import nifti_stem

PATIENTS_FILE = "patients.csv"
_SLICE_NUMBER = re.compile(r"^(?P<who>.*\D|.*\d\D+)(?P<slice>\d+)$")
_FEWEST_SLICES = 3


@dataclass
class _Table:
    """One patients.csv.

    Attributes:
        file: where it lies.
        patients: by file, as the table names it.
        rows: that name a file of this data.
        shortened: cases by the row that names less than their whole path.
    """

    file: Path
    patients: Mapping[str, str]
    rows: set[str] = field(default_factory=set)
    shortened: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @cached_property
    def place(self) -> Path:
        """The folder that it lies in, absolute."""
        return Path(os.path.abspath(self.file.parent))


def with_patients(root: Path, cases: Sequence[Case], *, above: Path | None = None) -> tuple[list[Case], list[Finding]]:
    """The cases with their patients, and what is to be said of them. Patients that are known already stay where no
    table names another.

    Args:
        root: a folder; its tables, and those of all folders below it, are read.
        cases: to be named.
        above: a folder whose own table counts too, where there is one; nothing else is searched for there.

    Raises:
        UserError: a patients.csv without its columns, that cannot be read, that gives a file to two patients, or that
            names one so that it could be several.
    """
    tables = _tables(root)
    if above is not None and above != root and (above / PATIENTS_FILE).is_file():
        tables.append(_Table(above / PATIENTS_FILE, _read(above / PATIENTS_FILE)))
    if not tables:
        return list(cases), _look_like_patients([case for case in cases if not case.patient])
    known = [case.with_patient(_patient(case, tables) or case.patient) for case in cases]
    findings = []
    for table in tables:
        for row, names in table.shortened.items():
            if len(names) > 1:
                raise UserError(
                    f"{table.file}: {row} could be {len(names)} files ({listed(sorted(names))}); name them with their "
                    "folders and endings"
                )
        foreign = sorted(set(table.patients) - table.rows)
        if foreign and table.file.is_relative_to(root):
            text = f"{table.file.relative_to(root)}: {len(foreign)} rows name no file of this data"
            findings.append(Finding("note", "patients", text, len(foreign), tuple(foreign)))
    unnamed = [case.name for case in known if not case.patient]
    if unnamed:
        named = len(known) - len(unnamed)
        text = f"{PATIENTS_FILE} names {named} of {len(known)}; the others stand by near-duplicates alone"
        findings.append(Finding("warning", "patients", text, len(unnamed), tuple(unnamed)))
    return known, findings


def _tables(root: Path) -> list[_Table]:
    """All tables that may name files of a folder, the nearest to the files first."""
    files = sorted(root.rglob(PATIENTS_FILE), key=lambda file: (-len(file.parts), file))
    if root.name.lower() in SPLIT_FOLDERS and (root.parent / PATIENTS_FILE).is_file():
        files.append(root.parent / PATIENTS_FILE)
    return [_Table(file, _read(file)) for file in files]


def _read(table: Path) -> dict[str, str]:
    try:
        with open(table, newline="", encoding="utf-8-sig") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: cannot be read as CSV ({error}); save it as UTF-8") from error
    if not rows or not {"file", "patient"} <= set(rows[0]):
        raise UserError(f"{table}: wants the columns file and patient, and a row a file")
    patients: dict[str, str] = {}
    for row in rows:
        name = PurePosixPath((row["file"] or "").strip().replace("\\", "/")).as_posix()
        patient = (row["patient"] or "").strip()
        if patients.setdefault(name, patient) != patient:
            raise UserError(f"{table}: {name} has two patients; leave one of the rows")
    return patients


def _patient(case: Case, tables: Sequence[_Table]) -> str:
    """The patient of a case; a row that names the whole path counts before one that names less."""
    # Absolute: a table above the data may be named otherwise than they are.
    paths = [Path(os.path.abspath(path)) for path in (*case.paths.values(), *([case.place] if case.place else []))]
    inside = [
        (table, PurePosixPath(path.relative_to(table.place).as_posix()))
        for table in tables
        for path in paths
        if path.is_relative_to(table.place)
    ]
    found = {}
    for table, full in inside:
        for name in (str(full), (table.place / full).as_posix()):
            if name in table.patients:
                table.rows.add(name)
                found[table.patients[name]] = table.file
    if len(found) > 1:
        raise UserError(f"{next(iter(found.values()))}: {case.name} has two patients ({listed(sorted(found))})")
    if found:
        return next(iter(found))
    for table, full in inside:
        # Without its ending, or without a folder: of pairs in two folders a row may name the pair.
        for short in (full.relative_to(folder) for folder in reversed(full.parents)):
            for name in (str(short), str(short.with_suffix("")), nifti_stem(str(short))[0]):
                if name in table.patients:
                    table.rows.add(name)
                    table.shortened[name].add(str(full))
                    return table.patients[name]
    return ""


def _look_like_patients(cases: Sequence[Case]) -> list[Finding]:
    """Names such as P03_12.png and P03_13.png, or one folder for each of several series."""
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        folder, _, file = case.name.rpartition("/")
        match = _SLICE_NUMBER.match(file.rpartition(".")[0] or file)
        if match and re.search(r"\d", match["who"]):
            by_prefix[f"{folder}/{match['who'].rstrip('_-. ')}"].append(case.name)
    people = {who: names for who, names in by_prefix.items() if len(names) >= _FEWEST_SLICES}
    if len(people) >= 2 and sum(map(len, people.values())) > len(cases) / 2:
        return [_warning("file names", [who.rsplit("/", 1)[-1] for who in people], people.values())]
    own = cache(_own_folders)
    folders = Counter(folder for case in cases if own(folder := case.name.rpartition("/")[0], case.labels))
    nested = {folder: count for folder, count in folders.items() if count >= _FEWEST_SLICES}
    if len(nested) >= 3 and sum(nested.values()) > len(cases) / 2:
        counts = [[""] * count for count in nested.values()]
        return [_warning("folders", list(nested), counts)]
    return []


def _own_folders(folder: str, labels: tuple[str, ...]) -> list[str]:
    """The folders above a case that are not those of the layout: splits, domains, classes."""
    layout = {
        *SPLIT_FOLDERS,
        *(f"{split}{letter}" for split in SPLIT_FOLDERS for letter in "ab"),
        *map(str.lower, labels),
    }
    return [part for part in folder.split("/") if part and part.lower() not in layout]


def _warning(what: str, who: list[str], names) -> Finding:
    count = sum(map(len, names))
    text = (
        f"{what} look like {len(who)} patients ({', '.join(who[:3])}, ...), and slices of one patient may stand on "
        f"both sides of a split; say who is who in {PATIENTS_FILE} (columns file, patient)"
    )
    return Finding("warning", "patients", text, count)
