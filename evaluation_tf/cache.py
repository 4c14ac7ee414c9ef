"""Arrays kept by the content they were computed from: in memory, and on disk, so that a second evaluation only reads
them.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from common_tf.files import replace_file
from evaluation_tf.images import Images, batches, content_hash


class ArrayCache:
    """A folder of .npz files, each named by a hash of everything its arrays depend on.

    Attributes:
        folder: of the files.
        hits, misses: how often an array was read from disk, and computed.
    """

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.hits = self.misses = 0
        self._memory: dict[str, Mapping[str, np.ndarray]] = {}

    def arrays(self, key: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        """The arrays of a key from `content_hash`, computed where they are not there yet or cannot be read."""
        if key not in self._memory:
            self._memory[key] = self._stored(key) or self._made(key, compute)
        return self._memory[key]

    def per_image(
        self, name: str, function: Callable[..., np.ndarray], *images: Images, mask: Images | None = None
    ) -> np.ndarray:
        """One number an image, ``(n,)``, a few images at a time.

        Args:
            name: of what is computed.
            function: of stacks in [0, 1], and by keyword ``mask`` where there is one.
            *images: the stacks.
            mask: bool, of the same shape.

        Raises:
            ValueError: whatever the function does not take.
        """

        def compute() -> dict[str, np.ndarray]:
            results = []
            for part in batches(len(images[0])):
                inside = {} if mask is None else {"mask": mask.scaled(part)}
                results.append(function(*(one.scaled(part) for one in images), **inside))
            return {"values": np.concatenate(results) if results else np.zeros(0)}

        inputs = [one.digest for one in (*images, *(() if mask is None else (mask,)))]
        return self.arrays(content_hash("per image", name, _source(function), *inputs), compute)["values"]

    def of_sets(self, name: str, function: Callable[..., float], *images: Images) -> float:
        """One number of whole sets in [0, 1], float32."""

        def compute() -> dict[str, np.ndarray]:
            return {"value": np.asarray(function(*(one.scaled() for one in images)), np.float64)}

        key = content_hash("of sets", name, _source(function), *(one.digest for one in images))
        return float(self.arrays(key, compute)["value"])

    def _file(self, key: str) -> Path:
        return self.folder / f"{key[:40]}.npz"

    def _stored(self, key: str) -> Mapping[str, np.ndarray] | None:
        path = self._file(key)
        if not path.exists():
            return None
        try:
            with open(path, "rb") as stream, np.load(stream) as stored:
                found = {name: stored[name] for name in stored.files}
            self.hits += 1
            return found
        except Exception:  # of a damaged archive zipfile, zlib and NumPy raise a dozen kinds
            path.unlink(missing_ok=True)  # a damaged file is no loss: it is computed again
            return None

    def _made(self, key: str, compute: Callable[[], Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        arrays = {name: np.asarray(value) for name, value in compute().items()}
        self.misses += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_file(self._file(key), lambda temporary: np.savez(temporary, **arrays))
        return arrays


@functools.cache
def _source(function: Callable) -> str:
    """The text of the file that a function stands in: a changed metric is not read from the cache of the old one."""
    module = inspect.getmodule(function)
    try:
        return "" if module is None else inspect.getsource(module)
    except (OSError, TypeError):
        return ""
