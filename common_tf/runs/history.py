"""history.jsonl: one object a logged step, and the same figures for TensorBoard."""

import json
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.files import plain, replace_text

HISTORY_FILE = "history.jsonl"


class History:
    """Means of the losses over the steps since the last line.

    A line is due every ``every`` steps and whenever the run is saved, so that no half-filled mean is lost when a run is
    killed and continued from its last save: lines after the restored step are cut off and written anew.

    Args:
        folder: of the run.
        every: steps between two lines.
        step: the step the run starts or continues from; later lines are removed from the file.
    """

    def __init__(self, folder: Path, *, every: int, step: int):
        self._path = Path(folder) / HISTORY_FILE
        self._every = every
        self._sums: dict = {}
        self._count = 0
        self._keep_until(step)
        self._stream = open(self._path, "a", encoding="utf-8")
        self._board = tf.summary.create_file_writer(str(Path(folder) / "tensorboard"))

    def add(
        self,
        step: int,
        *,
        epoch: int,
        seconds: float,
        losses: Mapping[str, float],
        flush: bool,
        figures: Mapping[str, float],
    ) -> None:
        """Adds one step's losses and writes a line where one is due.

        Args:
            step: updates made, this one included.
            epoch: the running epoch, from 1.
            seconds: training time so far, over all sessions of the run.
            losses: by name.
            flush: write a line now, because the run is being saved.
            figures: of a validation after this step, if there was one; they make a line due.
        """
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += 1
        if step % self._every and not flush and not figures:
            return
        values = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        values.update({f"validation_{name}": value for name, value in figures.items()})
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        line = {"step": step, "epoch": epoch, "seconds": round(seconds, 2), **rounded}
        self._stream.write(json.dumps(plain(line), allow_nan=False) + "\n")
        self._stream.flush()
        with self._board.as_default(step=step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def close(self) -> None:
        """Closes both files."""
        self._stream.close()
        self._board.close()

    def _keep_until(self, step: int) -> None:
        if not self._path.exists():
            return
        kept = []
        for line in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                # A killed run may leave half a line at the end.
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except (json.JSONDecodeError, KeyError, TypeError):
                continue
        replace_text(self._path, "".join(line + "\n" for line in kept))


def read_history(folder: Path) -> list[dict]:
    """The lines of a run's history as dictionaries; a figure that was not defined is ``None``.

    Raises:
        UserError: there is none.
    """
    try:
        text = (Path(folder) / HISTORY_FILE).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    except (OSError, ValueError) as error:
        file = Path(folder) / HISTORY_FILE
        raise UserError(f"{file}: missing or damaged; continue the run, which mends it") from error
