"""The training loop: steps, epochs, logs, saves, validation, and a clean stop. It knows no model."""

import math
import signal
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional

import tensorflow as tf
from tqdm import tqdm

from common_tf.errors import UserError
from common_tf.runs.checkpoints import Checkpoints
from common_tf.runs.history import History


@dataclass(frozen=True)
class Schedule:
    """When things happen, in steps; 0 for never.

    Attributes:
        total_steps: length of the training.
        steps_per_epoch: steps in an epoch.
        save_every_epochs, save_every_steps: checkpoints; the last step is always saved.
        validate_every_steps: validation; 0 for at the end of each epoch.
    """

    total_steps: int
    steps_per_epoch: int
    save_every_epochs: int
    save_every_steps: int
    validate_every_steps: int

    def epoch(self, step: int) -> int:
        """The epoch, from 1, that the update number ``step`` (from 1) belongs to."""
        return (step - 1) // self.steps_per_epoch + 1

    def ends_epoch(self, step: int) -> bool:
        """Whether an epoch is complete after ``step`` updates."""
        return step % self.steps_per_epoch == 0

    def saves(self, step: int) -> bool:
        """Whether to save after ``step`` updates."""
        epochs_due = self.save_every_epochs and self.ends_epoch(step)
        return bool(
            step == self.total_steps
            or (epochs_due and self.epoch(step) % self.save_every_epochs == 0)
            or (self.save_every_steps and step % self.save_every_steps == 0)
        )

    def validates(self, step: int) -> bool:
        """Whether to validate after ``step`` updates."""
        every = self.validate_every_steps or self.steps_per_epoch
        return step == self.total_steps or step % every == 0


class Progress:
    """A bar on a terminal, plain lines elsewhere (one in about every ten seconds)."""

    def __init__(self, *, total: int, start: int):
        self._terminal = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=start, unit="step", disable=not self._terminal, dynamic_ncols=True)
        self._total, self._start, self._began, self._said = total, start, time.monotonic(), time.monotonic()

    def update(self, step: int, losses: Mapping[str, float]) -> None:
        """Shows where the training stands."""
        figures = {name: f"{value:.3f}" for name, value in losses.items()}
        if self._terminal:
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(step - self._bar.n)
        elif time.monotonic() - self._said >= 10 or step == self._total:
            self._said = time.monotonic()
            rate = (step - self._start) / max(1e-9, self._said - self._began)
            left = tqdm.format_interval((self._total - step) / rate)
            words = ", ".join(f"{name} {value}" for name, value in figures.items())
            print(f"step {step}/{self._total}, {rate:.2f} steps/s, {left} left: {words}", flush=True)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        tqdm.write(text, file=sys.stdout)
        sys.stdout.flush()

    def close(self) -> None:
        """Leaves the bar as it stands."""
        self._bar.close()


class StopSignals:
    """Turns the first Ctrl-C (or SIGTERM) into a request that the loop sees between two steps; a second one kills."""

    def __init__(self) -> None:
        self.requested = False
        self._before: dict = {}

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _request(self, number: int, frame: Any) -> None:
        self.requested = True
        self.__exit__()


def train(
    *,
    train_step: Callable[[Any, tf.Tensor], Mapping[str, tf.Tensor]],
    batches: Iterable,
    schedule: Schedule,
    checkpoints: Checkpoints,
    history: History,
    validate: Callable[[int], Mapping[str, float]],
    saved: Callable[[int, str], None],
    epoch_ended: Callable[[int, float, Mapping[str, float], Optional[str], Progress], None] = lambda *_: None,
    finished: Callable[[int], bool] = lambda step: False,
) -> bool:
    """Trains from where the checkpoint stands to the end of the schedule.

    Args:
        train_step: one update from a batch and the number of updates before it.
        batches: from the checkpoint's step on.
        schedule: when things happen.
        checkpoints: restored state; its ``step`` is the only clock.
        history: where the losses go.
        validate: figures after a step; they go into that step's line of the history.
        saved: called after each save with the step and the checkpoint's path.
        epoch_ended: called with the epoch, its seconds, its mean losses, the path of the checkpoint that its last step
            was saved to (or ``None``), and the progress display.
        finished: asked before the first step and after each validation whether to end before the schedule does (early
            stopping); must follow from the checkpointed state.

    Returns:
        True when the schedule is done or ``finished`` said so, False when the user stopped it (the state is saved
        either way).

    Raises:
        UserError: a loss is not finite; the last checkpoint stays the last good state.
    """
    start = int(checkpoints.step)
    if start and finished(start):
        return True
    progress = Progress(total=schedule.total_steps, start=start)
    epoch_sums: dict = {}
    epoch_began = time.monotonic()
    try:
        with StopSignals() as stop:
            for step, batch in zip(range(start + 1, schedule.total_steps + 1), batches):
                began = time.monotonic()
                losses = {
                    name: float(value) for name, value in train_step(batch, tf.constant(step - 1, tf.int64)).items()
                }
                _refuse_non_finite(losses, step, checkpoints)
                checkpoints.step.assign(step)
                checkpoints.seconds.assign_add(time.monotonic() - began)
                epoch = schedule.epoch(step)
                for name, value in losses.items():
                    epoch_sums.setdefault(name, []).append(value)
                seconds = float(checkpoints.seconds)
                figures = validate(step) if schedule.validates(step) else {}
                ended = bool(figures) and finished(step)
                # Asked once a step: a request between saving and leaving would end the run with nothing saved.
                stopping = stop.requested
                saving = schedule.saves(step) or stopping or ended
                history.add(step, epoch=epoch, seconds=seconds, losses=losses, flush=saving, figures=figures)
                progress.update(step, losses)
                if figures:
                    words = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
                    progress.say(f"validation after step {step}: {words}")
                path = None
                if saving:
                    path = checkpoints.save()
                    saved(step, path)
                if schedule.ends_epoch(step):
                    means = {name: math.fsum(values) / len(values) for name, values in epoch_sums.items()}
                    epoch_ended(epoch, time.monotonic() - epoch_began, means, path, progress)
                    epoch_sums, epoch_began = {}, time.monotonic()
                if ended:
                    return True
                if stopping and step < schedule.total_steps:
                    return False
    finally:
        progress.close()
    return True


def _refuse_non_finite(losses: Mapping[str, float], step: int, checkpoints: Checkpoints) -> None:
    bad = [f"{name} {value}" for name, value in losses.items() if not math.isfinite(value)]
    if bad:
        last = checkpoints.latest()
        kept = f"the last good state is {last}" if last else "nothing had been saved yet"
        raise UserError(
            f"step {step}: the loss is not finite ({', '.join(bad)}); stopped, {kept}; "
            "try a lower --set learning_rate= or --precision float32 in a new run folder"
        )
