"""Named streams of random numbers: what is drawn follows from the seed, the stream's name, and the step.

Every purpose declares one `Stream` with a name of its own, so two purposes can never draw alike and nobody invents
offsets. A key is the SHA-256 of seed, name and further words, so neighbouring seeds have nothing in common either.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

_DECLARED: dict[str, "Stream"] = {}


class Stream:
    """One purpose's random numbers.

    Args:
        name: of the purpose; a second stream of the same name is refused.
    """

    def __init__(self, name: str):
        if name in _DECLARED:
            raise ValueError(f"a stream named {name} is declared already; two purposes must not share one")
        self.name = name
        _DECLARED[name] = self

    def key(self, seed: int, *parts: int | str) -> bytes:
        """32 bytes that follow from the seed, the name and the parts (a domain, a turn, a fold, ...)."""
        # JSON keeps words apart whatever they hold; NumPy's numbers and strings are as good as Python's.
        words = [str(part) if isinstance(part, str) else int(part) for part in parts]
        return hashlib.sha256(json.dumps([int(seed), self.name, *words]).encode()).digest()

    def numpy(self, seed: int, *parts: int | str) -> np.random.Generator:
        """A generator for NumPy."""
        return np.random.default_rng(np.frombuffer(self.key(seed, *parts), np.uint32))

    def integer(self, seed: int, *parts: int | str) -> int:
        """A number in [0, 2^31), for what takes a seed of its own, such as an initialiser."""
        return int.from_bytes(self.key(seed, *parts)[:4], "little") >> 1

    def tensor(self, seed: int, step: "tf.Tensor | int", *parts: int | str) -> "tf.Tensor":
        """The seed of a ``tf.random.stateless_*`` operation, ``(2,)`` int64.

        Args:
            seed: of the run.
            step: int64 scalar, the number of updates made before; may be symbolic.
            parts: further words.
        """
        import tensorflow as tf  # here, so that configs can be read without it

        word = int.from_bytes(self.key(seed, *parts)[:8], "little", signed=True)
        return tf.stack([tf.constant(word, tf.int64), tf.cast(step, tf.int64)])


def declared_streams() -> Mapping[str, Stream]:
    """All streams that have been declared, by name."""
    return dict(_DECLARED)
