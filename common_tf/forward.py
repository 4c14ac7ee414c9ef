"""Forward passes over many images, some at a time, on every GPU that this process sees."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from common_tf.replicas import replicas


def in_batches(
    function: Callable[[Any], Any],
    images: Any,
    *,
    size: int,
    result: Sequence[int] | None = None,
    devices: Sequence[str] | None = None,
) -> np.ndarray:
    """Results of a function of batches, one after the other; what comes of a batch does not depend on the device.

    Each device takes the next batch when it has done its last one. Weights stay on the device where they lie and are
    copied for every batch of another, which is little beside the pass itself.

    Args:
        function: from a batch, as a slice of ``images`` gives it, to ``(n, ...)``; called by several threads where
            there are several devices.
        images: anything with a length that can be sliced.
        size: most of a batch.
        result: shape of the result of one image, for where there are none.
        devices: names of TensorFlow's devices; ``None`` for all GPUs of a process that works alone, or what TensorFlow
            chooses where there are none.

    Raises:
        ValueError: no images, and no shape of the result.
    """
    if not len(images):
        if result is None:
            raise ValueError("there are no images, and nobody said what comes of one")
        return np.zeros((0, *result), np.float32)
    starts = range(0, len(images), size)
    names = _gpus() if devices is None else list(devices)
    if len(names) < 2 or len(starts) < 2:
        return np.concatenate([np.asarray(function(images[start : start + size])) for start in starts])
    free = list(names)  # a worker takes one and gives it back; there are as many workers as devices

    def passed(start: int) -> np.ndarray:
        name = free.pop()
        try:
            with tf.device(name):
                return np.asarray(function(images[start : start + size]))
        finally:
            free.append(name)

    with ThreadPoolExecutor(len(names)) as pool:
        return np.concatenate(list(pool.map(passed, starts)))


def _gpus() -> list[str]:
    # Of processes that share a training TensorFlow lists the others' devices too, and each computes on its own one.
    return [one.name for one in tf.config.list_logical_devices("GPU")] if replicas().count == 1 else []
