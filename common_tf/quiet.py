"""TensorFlow's import without its lines for developers.

TF_CPP_MIN_LOG_LEVEL hides them up to TensorFlow 2.15; later ones print some (oneDNN, "could not find cuda drivers")
before anything can be set. A user who reads one line of error must find that line.
"""

import contextlib
import importlib.abc
import importlib.machinery
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from types import ModuleType


@contextlib.contextmanager
def stderr_held_back() -> Iterator[None]:
    """What is written to file descriptor 2 meanwhile is shown only if an exception ends it."""
    try:
        real = os.dup(2)
    except OSError:  # closed
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(real, 2)
            held.seek(0)
            os.write(2, held.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)


class _QuietLoader(importlib.abc.Loader):
    def __init__(self, loader: importlib.abc.Loader):
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # TensorFlow asks its loader for what this class does not have.
        module.__loader__ = module.__spec__.loader = self._loader  # type: ignore[union-attr]
        with stderr_held_back():
            self._loader.exec_module(module)
        # Every fold and every run of a report has a network, and so a function, of its own: traced once each.
        logging.getLogger("tensorflow").addFilter(lambda record: "tf.function retracing" not in record.getMessage())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "tensorflow":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


def import_tensorflow_quietly() -> None:
    """Whoever imports TensorFlow first after this call does so in silence."""
    if "tensorflow" not in sys.modules and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
