"""Decoded squares, kept so that each file is read once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import numpy as np


def fill_cache(
    load: Callable[[int], np.ndarray], *, count: int, size: int, deep: bool, limit_mb: int, file: Path
) -> np.ndarray:
    """Loads all squares of a domain into one array.

    Args:
        load: returns square ``i`` as ``(size, size)`` float in [0, 1]; called from several threads.
        count: how many.
        size: their side.
        deep: 16 bits a pixel instead of 8.
        limit_mb: an array larger than this goes to ``file`` and is mapped from there, so that memory stays free.
        file: ``.npy``, overwritten; only touched where the limit is passed.

    Returns:
        ``(count, size, size)`` uint8 or uint16, full range.
    """
    dtype = np.uint16 if deep else np.uint8
    shape = (count, size, size)
    if np.prod(shape, dtype=np.int64) * np.dtype(dtype).itemsize > limit_mb * 2**20:
        file.parent.mkdir(parents=True, exist_ok=True)
        cache = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
    else:
        cache = np.empty(shape, dtype)
    top = np.iinfo(dtype).max

    def store(index: int) -> None:
        cache[index] = np.round(np.clip(load(index), 0, 1) * top)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store, range(count)))
    return cache
