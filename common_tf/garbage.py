"""Python's search for garbage, put off where very many objects are made that all stay."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.Lock()
_wanted, _was_on = 0, True


@contextmanager
def without_collecting() -> Iterator[None]:
    """Does not look for cycles of garbage meanwhile; also a decorator.

    The search goes through all objects there are, TensorFlow's among them, whenever their number has grown by a
    quarter: loading what is known of twenty thousand slices took a third longer by it (docs/scale.md). Not for what
    makes cycles of large objects, such as reading volumes.
    """
    _put_off(1)
    try:
        yield
    finally:
        _put_off(-1)


def _put_off(change: int) -> None:
    """Counts who wants it put off, of all threads: the first turns it off, the last on again, if it was on."""
    global _wanted, _was_on
    with _LOCK:
        if not _wanted:
            _was_on = gc.isenabled()
        _wanted += change
        if _wanted:
            gc.disable()
        elif _was_on:
            gc.enable()
