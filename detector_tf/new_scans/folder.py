"""The folder of what was found in new scans: whole, or not there."""

import csv
import io
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.files import replace_text

NOTICE = "Made by a neural network. Research only, not for diagnosis."


@contextmanager
def new_folder(output: Path, *, source: Path) -> Iterator[Path]:
    """A folder to write into, which gets its name when all is written, and goes if anything fails.

    Args:
        output: its name; may be there and empty.
        source: what is worked on.

    Raises:
        UserError: something is there, or it lies inside the source.
    """
    output = Path(output).absolute()
    if Path(source).absolute() in (output, *output.parents):
        raise UserError(f"--output {output}: lies inside the scans; give a folder beside them")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--output {output}: is in use; give a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    staging = output.with_name(f".writing-{os.getpid()}-{output.name}")
    try:
        staging.mkdir()
        yield staging
        if output.exists():
            output.rmdir()  # empty, so nothing goes; Windows renames onto nothing only
        os.replace(staging, output)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows as CSV; the columns are those of the first."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(path, text.getvalue())


def shown_of(count: int, *, most: int = 12) -> set[int]:
    """Which of many scans a figure shows: evenly from the first to the last."""
    return set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist())
