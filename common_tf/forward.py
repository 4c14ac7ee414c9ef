"""Forward passes over many images, some at a time; within `on_every_gpu` on all GPUs that this process sees."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import numpy as np
import tensorflow as tf

_DEVICES: ContextVar[Sequence[str]] = ContextVar("devices", default=())


@contextmanager
def on_every_gpu() -> Iterator[None]:
    """While it is open, `in_batches` of this thread shares its batches among all GPUs.

    For a process that works alone, such as a report: of processes that share a training each computes on its own GPU,
    and TensorFlow lists the others' too.
    """
    with on_devices([one.name for one in tf.config.list_logical_devices("GPU")]):
        yield


@contextmanager
def on_devices(names: Sequence[str]) -> Iterator[None]:
    """`on_every_gpu` for devices of these names; with fewer than two TensorFlow chooses, as it does outside."""
    token = _DEVICES.set(tuple(names) if len(names) > 1 else ())
    try:
        yield
    finally:
        _DEVICES.reset(token)


def in_batches(
    function: Callable[[Any], Any],
    images: Any,
    *,
    size: int,
    result: Sequence[int] | None = None,
    keeps_state: bool = False,
) -> np.ndarray:
    """Results of a function of batches, one after the other.

    Where several devices share them, batch ``i`` goes to device ``i`` modulo their number, so that the same request
    gives the same again. Weights stay on the device where they lie and are copied for every batch of another, which is
    little beside the pass itself.

    Args:
        function: from a batch, as a slice of ``images`` gives it, to ``(n, ...)``; called by a thread a device where
            they share.
        images: anything with a length that can be sliced.
        size: most of a batch.
        result: shape of the result of one image, for where there are none.
        keeps_state: what comes of a batch depends on those before it, as with dropout that counts; such are not shared.

    Raises:
        ValueError: no images, and no shape of the result.
    """
    if not len(images):
        if result is None:
            raise ValueError("there are no images, and nobody said what comes of one")
        return np.zeros((0, *result), np.float32)
    starts = range(0, len(images), size)
    devices = () if keeps_state or len(starts) < 2 else _DEVICES.get()

    def passed(chosen: range, device: str | None = None) -> list[np.ndarray]:
        with tf.device(device) if device else nullcontext():
            return [np.asarray(function(images[start : start + size])) for start in chosen]

    if not devices:
        return np.concatenate(passed(starts))
    with ThreadPoolExecutor(len(devices)) as pool:
        shares = [pool.submit(passed, starts[number :: len(devices)], name) for number, name in enumerate(devices)]
        parts = [share.result() for share in shares]
    return np.concatenate([parts[number % len(parts)][number // len(parts)] for number in range(len(starts))])
