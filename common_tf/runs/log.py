"""What a training tells while it runs: history.jsonl, the progress display, and lines after each epoch."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common_tf.progress import TrainingProgress
from common_tf.runs.history import History
from common_tf.runs.schedule import Schedule

EpochLines = Callable[[int, float, Mapping[str, float], str | None, TrainingProgress], None]
"""Called after each epoch with its number, seconds, mean losses, the checkpoint its last step was saved to, display."""


class TrainingLog:
    """A context; at its end the history is closed.

    Args:
        folder: of the run.
        schedule: of the training.
        start: the step it goes on from.
        epoch_lines: see `EpochLines`.
    """

    def __init__(self, folder: Path, *, schedule: Schedule, start: int, epoch_lines: EpochLines):
        self._schedule, self._epoch_lines = schedule, epoch_lines
        self._history = History(folder, every=schedule.log_every, step=start)
        self._display = TrainingProgress(total=schedule.total_steps, start=start)
        self._sums: dict[str, list[float]] = {}
        self._epoch_began = time.monotonic()

    def __enter__(self) -> "TrainingLog":
        return self

    def __exit__(self, *_: Any) -> None:
        self._display.close()
        self._history.close()

    def add(
        self,
        step: int,
        losses: Sequence[Mapping[str, float]],
        *,
        seconds: float,
        figures: Mapping[str, float],
        saving: bool,
    ) -> None:
        """The steps since the last call, the last of which is ``step``.

        Args:
            step: updates made.
            losses: of each of the steps.
            seconds: of training, over all sessions.
            figures: of a validation after the last one, if there was one.
            saving: the run is about to be saved, so nothing may be left for a later line.
        """
        epoch = self._schedule.epoch(step)
        for number, one in enumerate(losses, start=step - len(losses) + 1):
            last = number == step
            shown = figures if last else {}
            self._history.add(number, epoch=epoch, seconds=seconds, losses=one, flush=saving and last, figures=shown)
            for name, value in one.items():
                self._sums.setdefault(name, []).append(value)
        self._display.update(step, losses[-1])
        if figures:
            words = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
            self._display.say(f"validation after step {step}: {words}")

    def end_epoch(self, step: int, path: str | None) -> None:
        """An epoch is complete.

        Args:
            step: its last one.
            path: of the checkpoint that it was saved to.
        """
        means = {name: math.fsum(values) / len(values) for name, values in self._sums.items()}
        seconds = time.monotonic() - self._epoch_began
        self._epoch_lines(self._schedule.epoch(step), seconds, means, path, self._display)
        self._sums, self._epoch_began = {}, time.monotonic()
