"""Arrays kept by the content they were computed from, so that a second evaluation only reads them."""

import hashlib
import zipfile
from pathlib import Path
from typing import Callable, Mapping

import numpy as np

from common_tf.runs.files import replace_file

_VERSION = "1"


def content_hash(*parts) -> str:
    """SHA-256 of arrays, bytes and words, in order."""
    digest = hashlib.sha256(_VERSION.encode())
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part))
        else:
            digest.update(part if isinstance(part, bytes) else str(part).encode())
        digest.update(b"\x00")
    return digest.hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class ArrayCache:
    """A folder of .npz files, each named by a hash of everything its arrays depend on.

    Attributes:
        hits, misses: how often an array was read, and computed.
    """

    def __init__(self, folder: Path):
        self._folder = Path(folder)
        self.hits = self.misses = 0

    def arrays(self, key: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        """The arrays of a key from `content_hash`, computed where they are not there yet or cannot be read."""
        path = self._folder / f"{key[:40]}.npz"
        if path.exists():
            try:
                with open(path, "rb") as stream, np.load(stream) as stored:
                    found = {name: stored[name] for name in stored.files}
                self.hits += 1
                return found
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                path.unlink(missing_ok=True)  # a damaged file is no loss: it is computed again
        arrays = {name: np.asarray(value) for name, value in compute().items()}
        self.misses += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda temporary: np.savez(temporary, **arrays))
        return arrays

    def values(self, name: str, function: Callable, *inputs, **options) -> np.ndarray:
        """``function(*inputs, **options)``, kept by the function's name and the content of everything it was given."""
        given = [part for pair in sorted(options.items()) for part in pair]
        key = content_hash("values", name, *inputs, *given)
        return self.arrays(key, lambda: {"values": function(*inputs, **options)})["values"]
