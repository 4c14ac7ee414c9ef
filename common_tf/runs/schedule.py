"""When things happen in a training, and a clean stop."""

import signal
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """When things happen, in steps; 0 for never.

    Attributes:
        total_steps: length of the training.
        steps_per_epoch: steps in an epoch.
        save_every_epochs, save_every_steps: checkpoints; the last step is always saved.
        validate_every_steps: validation; 0 for at the end of each epoch.
        log_every: steps between two lines of the history.
        patience_steps: steps without a better validation after which the training ends.
    """

    total_steps: int
    steps_per_epoch: int
    save_every_epochs: int
    save_every_steps: int
    validate_every_steps: int
    log_every: int = 1
    patience_steps: int = 0

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

    def is_due(self, step: int) -> bool:
        """Whether anything but training happens after ``step`` updates."""
        return step % self.log_every == 0 or self.ends_epoch(step) or self.saves(step) or self.validates(step)


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
