"""A profile of a few steps, for TensorBoard's profiler."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tensorflow as tf

PROFILE_AFTER = 10
"""Steps that pass first: graphs are built, and caches fill."""


class Profile:
    """Profiles some of the steps of a training; as a context it ends what is running at its end.

    Args:
        folder: of TensorBoard's files; the profile comes into ``plugins/profile/`` below it.
        first: step that is profiled first.
        steps: how many are; 0 for none.
    """

    def __init__(self, folder: Path, *, first: int, steps: int):
        self._folder, self._first, self._last = folder, first, first + steps - 1
        self._running = False

    def __enter__(self) -> "Profile":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._running:
            self._running = False
            tf.profiler.experimental.stop()

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """A step of the training."""
        if not self._first <= number <= self._last:
            yield
            return
        if number == self._first:
            tf.profiler.experimental.start(str(self._folder))
            self._running = True
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            yield
        if number == self._last:
            self.__exit__()
