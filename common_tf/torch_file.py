"""Reads PyTorch's legacy weight files as arrays, without PyTorch and without running anything of them.

Such a file (`torch.save` before version 1.6) is five pickles (magic number, protocol, system, the object, the keys of
its storages) and then the storages one after the other, each an int64 count and raw little-endian values. A pickle can
name any function of any module; the reader here knows four names, which make nothing but arrays.
"""

import collections
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_LARGEST_STORAGE = 2**28


class _Storage:
    """Values that come later in the file."""

    def __init__(self, kind: np.dtype, count: int):
        self.kind, self.count = kind, count
        self.values: np.ndarray | None = None


class _Tensor:
    """A view of a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: Sequence[int], strides: Sequence[int], *_: Any):
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), tuple(strides)

    def array(self) -> np.ndarray:
        values = self.storage.values
        wanted = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides)) + 1
        if values is None or self.offset < 0 or min(self.strides, default=0) < 0 or wanted > len(values):
            raise ValueError("a tensor reaches beyond its storage")
        strides = [step * values.itemsize for step in self.strides]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides).copy()


_KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Reader(pickle.Unpickler):
    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"names {module}.{name}, which no file of weights needs")
        return _KNOWN[module, name]

    def persistent_load(self, identity: Any) -> _Storage:
        word, kind, key, _, count, view = identity
        if word != "storage" or not isinstance(kind, np.dtype) or view is not None or not 0 <= count < _LARGEST_STORAGE:
            raise pickle.UnpicklingError("refers to something other than a storage")
        return self.storages.setdefault(str(key), _Storage(kind, int(count)))


def read_torch_file(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a legacy file by their names, in PyTorch's layout.

    Raises:
        ValueError: not such a file, or one that holds anything else.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        try:
            reader = _Reader(file)
            if reader.load() != _MAGIC or _Reader(file).load() != _PROTOCOL:
                raise ValueError("not a legacy file of PyTorch")
            _Reader(file).load()
            reader = _Reader(file)
            content = reader.load()
            keys = _Reader(file).load()
            for key in keys:
                storage = reader.storages[str(key)]
                if int.from_bytes(file.read(8), "little") != storage.count:
                    raise ValueError("a storage has another size than the file says")
                raw = file.read(storage.count * storage.kind.itemsize)
                storage.values = np.frombuffer(raw, storage.kind)
            return {str(name): tensor.array() for name, tensor in content.items()}
        except (OSError, ValueError):
            raise
        except Exception as error:  # a damaged pickle raises anything
            raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
