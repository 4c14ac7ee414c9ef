"""The folder of what was found in new scans: whole, or not there."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from common_tf.csv_table import csv_text_of
from common_tf.errors import UserError
from common_tf.files import refuse_used, replace_text, staged_folder

NOTICE = "Made by a neural network. Research only, not for diagnosis."


@contextmanager
def new_folder(output: Path, *, source: Path) -> Iterator[Path]:
    """A folder to write into, whose files come into the output when all are written; none if anything fails.

    Args:
        output: not there yet, or empty.
        source: what is worked on.

    Raises:
        UserError: something is there, or it lies inside the source.
    """
    output = Path(output).absolute()
    if Path(source).resolve() in (output.resolve(), *output.resolve().parents):
        raise UserError(f"--output {output}: lies inside the scans; give a folder beside them")
    refuse_used(output)
    with staged_folder(output) as staging:
        yield staging


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows as CSV; the columns are those of the first."""
    replace_text(path, csv_text_of(list(rows[0]), rows))


def shown_of(count: int, *, most: int = 12) -> set[int]:
    """Which of many scans a figure shows: evenly from the first to the last."""
    return set(np.linspace(0, count - 1, min(most, count)).round().astype(int).tolist())
