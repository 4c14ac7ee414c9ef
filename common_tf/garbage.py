"""Python's search for garbage, put off where very many objects are made that all stay."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Does not look for cycles of garbage meanwhile; also a decorator.

    The search goes through all objects there are, TensorFlow's among them, whenever their number has grown by a
    quarter: listing a hundred thousand files took a third longer by it. Not for what makes cycles of large objects,
    such as reading volumes.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
