"""One training session in a run folder: restore, train, validate, save, record, close. It knows no model.

Translators, classifiers and segmenters all go through here, so what is promised of a run (exact continuation, recovery,
a status that says what happened, no start over a history that is there) holds for all of them. Of processes that share
a training (`common_tf.replicas`) each has a session; only the first one's touches the folder, validates and speaks.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.files import read_json, replace_json
from common_tf.replicas import alone, others_may_be_gone, replicas
from common_tf.runs.checkpoints import Checkpoints
from common_tf.runs.environment import Environment, write_environment
from common_tf.runs.history import HISTORY_FILE
from common_tf.runs.log import EpochLines, TrainingLog
from common_tf.runs.profile import PROFILE_AFTER, Profile
from common_tf.runs.schedule import Schedule, StopSignals
from common_tf.runs.weights import exported

STATUS_FILE = "status.json"
_LISTEN_EVERY = 10
"""Steps after which processes that share a training ask each other whether one is to stop."""


class Trainable(Protocol):
    """What a session trains."""

    state: tf.Module
    """Everything that a checkpoint must hold, optimizers built."""

    def trained(self) -> Sequence[tf.Variable]:
        """The weights that are learned; they must be finite whenever they are saved."""

    def train_step(self, batch: Any, step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update from a batch and the number of updates before it; float32 scalars by name."""

    def validate(self, step: int) -> Mapping[str, float]:
        """Figures after a step; the lowest ``score`` is the best."""

    def export(self, kind: str, record: Mapping[str, Any]) -> None:
        """Saves inference weights, ``best`` or ``last``, with a record of what they are."""


@dataclass(frozen=True)
class Outcome:
    """How a session ended.

    Attributes:
        done: the training is complete; False where the user stopped it (the state is saved either way).
        step: updates made in all.
        trained: whether this session made any.
        minutes: of training, over all sessions.
    """

    done: bool
    step: int
    trained: bool
    minutes: float


@dataclass
class Session:
    """A training in a folder.

    Attributes:
        folder: of the run, or of the fold.
        trainable: what is trained.
        schedule: when things happen.
        environment: what it computes with.
        keep: checkpoints to keep.
        figure: what ``score`` is, in words, for the records.
        facts: further words for the records of weights.
        epoch_lines: see `EpochLines`.
        profile: steps that are profiled for TensorBoard.
    """

    folder: Path
    trainable: Trainable
    schedule: Schedule
    environment: Environment
    keep: int
    figure: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    epoch_lines: EpochLines = lambda *_: None
    profile: int = 0

    def __post_init__(self) -> None:
        self._mine = replicas()
        self._checkpoints = Checkpoints(
            self.folder, keep=self.keep, state=self.trainable.state, trained=self.trainable.trained
        )
        self.restored: str | None = None
        if self._mine.is_first:
            with alone():
                self._restore()
        self._checkpoints.share()
        self.start = int(self._checkpoints.step)

    def _restore(self) -> None:
        for name in ("checkpoints", "weights", "tensorboard"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_environment(self.folder, self.environment)
        self.restored = self._checkpoints.restore()
        step = int(self._checkpoints.step)
        _refuse_start_over(self.folder, self.restored)
        if self.restored and exported(self.folder, "last", "step") != step:
            # Killed between a save and its export; a run that was complete then would never export again.
            self.trainable.export("last", self._record(step))
        self._begin_choosing_anew(step)
        self._write_status(self.restored)

    def _begin_choosing_anew(self, step: int) -> None:
        """Scores of two figures cannot be compared: an old one that is lower by its scale would stay for good."""
        chosen_by = exported(self.folder, "best", "figure")
        if self.restored and chosen_by is not None and chosen_by != self.figure:
            self._checkpoints.best.assign(float("inf"))
            self._checkpoints.best_step.assign(step)
            print("the best weights were chosen by another figure than today's; choosing begins anew", flush=True)

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to train."""
        return self.start >= self.schedule.total_steps or bool(self.start and self._waited_enough(self.start))

    def run(self, batches: Callable[[int], Iterable]) -> Outcome:
        """Trains from where the checkpoint stands to the end of the schedule.

        Args:
            batches: from a step on, without end.

        Raises:
            UserError: a loss or a weight is not finite, or a process that shares the training is gone; the last
                checkpoint stays the last good state.
        """
        if self.is_complete:
            return self._outcome(True)
        with contextlib.ExitStack() as stack:
            log = self._open_log(stack)
            stop = stack.enter_context(StopSignals())
            steps = self.profile if self._mine.is_first else 0
            profile = Profile(self.folder / "tensorboard", first=self.start + PROFILE_AFTER + 1, steps=steps)
            stack.enter_context(profile)
            stack.enter_context(others_may_be_gone())
            return self._outcome(self._loop(batches(self.start), log, stop, profile))

    def _open_log(self, stack: contextlib.ExitStack) -> TrainingLog | None:
        """For the first of the processes that share a training."""
        if not self._mine.is_first:
            return None
        log = TrainingLog(self.folder, schedule=self.schedule, start=self.start, epoch_lines=self.epoch_lines)
        return stack.enter_context(log)

    def _loop(self, batches: Iterable, log: TrainingLog | None, stop: StopSignals, profile: Profile) -> bool:
        schedule, checkpoints = self.schedule, self._checkpoints
        pending: list[Mapping[str, tf.Tensor]] = []
        seconds = float(checkpoints.seconds)
        for step, batch in zip(range(self.start + 1, schedule.total_steps + 1), batches):
            began = time.monotonic()
            with profile.step(step):
                pending.append(self.trainable.train_step(batch, tf.constant(step - 1, tf.int64)))
            seconds += time.monotonic() - began
            if not (schedule.is_due(step) or self._is_asked_to_stop(step, stop)):
                continue  # losses stay on their device: nobody waits for the step
            began = time.monotonic()
            losses = self._fetched(pending, step)
            pending.clear()
            seconds += time.monotonic() - began
            checkpoints.step.assign(step)
            checkpoints.seconds.assign(seconds)
            figures = self._validate(step) if log and schedule.validates(step) else {}
            # Asked once from here on: a request between saving and leaving would end the run with nothing saved.
            ended, stopping = self._mine.any(bool(figures) and self._waited_enough(step), stop.requested)
            saving = schedule.saves(step) or stopping or ended
            if log:
                log.add(step, losses, seconds=seconds, figures=figures, saving=saving)
            path = self._save(step) if saving else None
            if log and schedule.ends_epoch(step):
                log.end_epoch(step, path)
            if ended:
                return True
            if stopping and step < schedule.total_steps:
                return False
        return True

    def _is_asked_to_stop(self, step: int, stop: StopSignals) -> bool:
        """Whether to stop after a step at which nothing is due; processes that share a training stop together."""
        if self._mine.count == 1:
            return stop.requested
        return step % _LISTEN_EVERY == 0 and self._mine.any(stop.requested)[0]

    def _fetched(self, pending: Sequence[Mapping[str, tf.Tensor]], step: int) -> list[dict[str, float]]:
        """The losses of the steps up to ``step``; all of them are looked at before anything is saved."""
        fetched = []
        for number, results in enumerate(pending, start=step - len(pending) + 1):
            losses = {name: float(value) for name, value in results.items()}
            bad = [f"{name} {value}" for name, value in losses.items() if not math.isfinite(value)]
            if bad:
                last = self._checkpoints.latest()
                kept = f"the last good state is {last}" if last else "nothing had been saved yet"
                raise UserError(
                    f"step {number}: the loss is not finite ({', '.join(bad)}); stopped, {kept}; "
                    "try a lower --set learning_rate= or --precision float32 in a new run folder"
                )
            fetched.append(losses)
        return fetched

    def _validate(self, step: int) -> Mapping[str, float]:
        with alone():
            figures = {name: float(value) for name, value in self.trainable.validate(step).items()}
        # Both in double precision, in which the best one is kept: an equal score is no better one.
        if figures["score"] < float(self._checkpoints.best):
            self._checkpoints.best.assign(figures["score"])
            self._checkpoints.best_step.assign(step)
            self.trainable.export("best", self._record(step, **figures))
        return figures

    def _waited_enough(self, step: int) -> bool:
        patience = self.schedule.patience_steps
        return bool(patience) and step - int(self._checkpoints.best_step) >= patience

    def _save(self, step: int) -> str | None:
        if not self._checkpoints.are_alike():
            print(f"step {step}: the processes had drifted apart; all go on with the weights of the first", flush=True)
            self._checkpoints.share()
        if not self._mine.is_first:
            return None
        path = self._checkpoints.save()
        self.trainable.export("last", self._record(step))
        self._write_status(path)
        return path

    def _record(self, step: int, **figures: Any) -> dict[str, Any]:
        words = {"figure": self.figure, "policy": self.environment.policy, "tensorflow": self.environment.tensorflow}
        return {"step": step, **figures, **words, **self.facts}

    def _write_status(self, checkpoint: str | None) -> None:
        """From the state as it stands, so that a kill between a save and its record leaves nothing stale for long."""
        step = int(self._checkpoints.step)
        complete = step >= self.schedule.total_steps or bool(step and self._waited_enough(step))
        status = {
            "state": "complete" if complete else "unfinished",
            "step": step,
            "total_steps": max(step, self.schedule.total_steps),
            "epoch": self.schedule.epoch(max(1, step)),
            "seconds": round(float(self._checkpoints.seconds), 1),
            "checkpoint": f"checkpoints/{Path(checkpoint).name}" if checkpoint else None,
            "best_step": int(self._checkpoints.best_step),
            "best_score": float(self._checkpoints.best),
        }
        replace_json(self.folder / STATUS_FILE, status)

    def _outcome(self, done: bool) -> Outcome:
        step = int(self._checkpoints.step)
        return Outcome(done, step, step > self.start, float(self._checkpoints.seconds) / 60)


def read_status(folder: Path) -> dict:
    """A run's status.json.

    Raises:
        UserError: missing or damaged.
    """
    return read_json(Path(folder) / STATUS_FILE, way_out="continue the run, which writes it again")


def _refuse_start_over(folder: Path, restored: str | None) -> None:
    """A run that has saved something never starts at 0 over its own records.

    The status knows: it is written before the first step and after every save. Lines of the history alone are those of
    a run that was killed before its first save, unless the status is lost too.
    """
    if restored:
        return
    history, status = folder / HISTORY_FILE, folder / STATUS_FILE
    if status.exists():
        what = STATUS_FILE
        saved = bool(read_json(status, way_out="put back a copy of it, or choose another --run folder").get("step"))
    else:
        what = HISTORY_FILE
        saved = history.exists() and history.stat().st_size > 0
    if saved:
        raise UserError(
            f"{folder / 'checkpoints'}: holds no checkpoint, but {what} says that the run has made steps; put back a "
            "copy of checkpoints/, or choose another --run folder"
        )
