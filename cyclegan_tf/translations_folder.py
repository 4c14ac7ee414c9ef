"""A folder of translations: it knows what was made of what, and nothing of others is replaced."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from common_tf.csv_table import csv_text, read_csv
from common_tf.errors import UserError
from common_tf.files import replace_text, staged_folder
from common_tf.sources.listing import SHEET_FILE, TABLE_FILE
from common_tf.sources.source import listed

_COLUMNS = ("file", "input", "direction", "step", "notice")


@dataclass(frozen=True)
class Translated:
    """What came of a translation.

    Attributes:
        count: images or volumes translated.
        notes: lines for the terminal: what was not read, which gray values were taken for black and white.
        what: ``images`` or ``volumes``.
    """

    count: int
    notes: Sequence[str]
    what: str = "images"


class TranslationsFolder:
    """The output folder of a translation, which may hold earlier ones.

    Args:
        output: the folder; made when something is written.
        source: what is translated.

    Raises:
        UserError: it holds other files than translations, or lies inside the input.
    """

    def __init__(self, output: Path, *, source: Path):
        self.path = Path(output).absolute()
        self._rows = _earlier(self.path)
        if Path(source).absolute() in self.path.parents:
            raise UserError(f"--output {self.path}: lies inside the input; give a folder beside it")

    def refuse_taken(self, made_of: Mapping[str, str], direction: str) -> None:
        """One direction of a slice does not replace the other, nor another input that leads to the same name.

        Args:
            made_of: the input of each file, or folder of files, that is to be written, by name.
            direction: of the translation.

        Raises:
            UserError: a file of that name was made of something else.
        """
        other = [
            name
            for name, given in made_of.items()
            if any(row[1:3] != (given, direction) for row in self._rows if _within(row[0], name))
        ]
        if other:
            raise UserError(
                f"--output {self.path}: {listed(other, most=3)} was made of something else (see {TABLE_FILE}); give a "
                "new folder"
            )

    @contextmanager
    def writing(self) -> Iterator[tuple[Path, list[tuple[str, ...]]]]:
        """A folder to write into and a list for the rows of the table; what is in either is moved here at the end."""
        rows: list[tuple[str, ...]] = []
        stale: list[str] = []
        with staged_folder(self.path, first=TABLE_FILE) as staging:
            yield staging, rows
            made, inputs = {row[0] for row in rows}, {row[1:3] for row in rows}
            stale = [row[0] for row in self._rows if row[1:3] in inputs and row[0] not in made]
            self._rows = [*(row for row in self._rows if row[0] not in made and row[0] not in stale), *rows]
            replace_text(staging / TABLE_FILE, csv_text(_COLUMNS, self._rows))
        for name in stale:  # of a series that had more slices
            (self.path / name).unlink(missing_ok=True)


def _within(name: str, place: str) -> bool:
    """Whether a file is what is to be written, or lies in it; also where a disk does not know capitals."""
    name, place = name.lower(), place.lower()
    return name == place or name.startswith(f"{place}/")


def _earlier(output: Path) -> list[tuple[str, ...]]:
    """The table of translations that are in the output folder already; anything else in it is somebody's."""
    if not output.exists():
        return []
    if not output.is_dir():
        raise UserError(f"--output {output}: is a file; give a folder")
    rows: list[tuple[str, ...]] = []
    table = output / TABLE_FILE
    if table.is_file():
        try:
            with open(table, newline="", encoding="utf-8") as stream:
                names, found = read_csv(stream)
        except (ValueError, csv.Error):
            names, found = [], []
        if not found or set(names) != set(_COLUMNS) or any(len(row) != len(names) for row in found):
            raise UserError(f"{table}: is not a table of translations; give another --output folder")
        rows = [tuple(row[names.index(name)] for name in _COLUMNS) for row in found]
    ours = {TABLE_FILE, SHEET_FILE, *(row[0] for row in rows)}
    foreign = sorted(
        path.relative_to(output).as_posix()
        for path in output.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(output).parts)
    )
    foreign = [name for name in foreign if name not in ours]
    if foreign:
        raise UserError(
            f"--output {output}: holds {len(foreign)} files that are no translations ({listed(foreign, most=3)}); "
            "synthetic images do not go beside others, give a new folder"
        )
    return rows
