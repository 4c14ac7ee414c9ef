"""How long work shows itself: a bar on a terminal, plain lines elsewhere (one in about every ten seconds)."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from tqdm import tqdm

_EVERY = 10.0
Item = TypeVar("Item")
Listener = Callable[[str, int, int], None]
_LISTENER: ContextVar[Listener | None] = ContextVar("progress", default=None)


@contextmanager
def progress_told_to(listener: Listener) -> Iterator[None]:
    """While it is open, a listener hears of all progress of this thread, beside the terminal.

    Args:
        listener: takes what is being done, how many are done, and of how many.
    """
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def progress(items: Iterable[Item], *, total: int, words: str) -> Iterator[Item]:
    """Passes items on and shows how many have come; work of less than a few seconds shows nothing.

    Args:
        items: to pass on.
        total: how many there are.
        words: what is being done.
    """
    with _counting(total, words) as add:
        for item in items:
            yield item
            add(1)


def progress_in_parts(items: Sequence[Item], *, size: int, words: str) -> Iterator[tuple[int, Sequence[Item]]]:
    """Passes items on some at a time; what is shown counts items, as `progress` does.

    Args:
        items: to pass on.
        size: most of a part.
        words: what is being done.

    Yields:
        The number of a part's first item, and the part.
    """
    with _counting(len(items), words) as add:
        for start in range(0, len(items), size):
            part = items[start : start + size]
            yield start, part
            add(len(part))


@contextmanager
def _counting(total: int, words: str) -> Iterator[Callable[[int], None]]:
    began = said = time.monotonic()
    terminal = sys.stderr.isatty()
    count = 0
    with tqdm(total=total, desc=words, disable=not terminal, delay=2, leave=False, dynamic_ncols=True) as bar:

        def add(number: int) -> None:
            nonlocal count, said
            count += number
            bar.update(number)
            if (listener := _LISTENER.get()) is not None:
                listener(words, count, total)
            now = time.monotonic()
            if not terminal and now - said >= _EVERY and count < total:
                left = tqdm.format_interval((total - count) * (now - began) / count)
                print(f"{words}: {count} of {total}, {left} left", flush=True)
                said = now

        yield add


class TrainingProgress:
    """Where a training stands."""

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
        elif time.monotonic() - self._said >= _EVERY or step == self._total:
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
