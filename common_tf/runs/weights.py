"""Inference weights beside a run's checkpoints: framework-neutral, ``best`` and ``last``."""

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.files import read_json, replace_file, replace_json

KINDS = ("best", "last")
_MEND = {
    "best": "remove it, and the last weights are taken",
    "last": "continue the run, which writes it again",
}
_BESIDE, _AROUND = 4096, 1 << 16  # what HDF5 writes around an array, and around all of them, at most
WEIGHTS_ENDING = ".weights.h5"
"""Of files that Keras reads as arrays by the layers they belong to."""


def save_weights(folder: Path, kind: str, networks: Mapping[str, tf.keras.Model], record: Mapping[str, Any]) -> None:
    """Saves inference weights as ``weights/KIND-STEP-NAME.weights.h5`` and points ``weights/KIND.json`` at them.

    The record is replaced last and old files are deleted after it, so that a reader finds a whole set at any time.

    Args:
        folder: of the run.
        kind: ``best`` or ``last``.
        networks: by the name that goes into the file name.
        record: what to say of them; must have ``step``.
    """
    weights = Path(folder) / "weights"
    weights.mkdir(exist_ok=True)
    names = {name: f"{kind}-{record['step']:07d}-{name}.weights.h5" for name in networks}
    digests = {name: write_network(weights / names[name], network) for name, network in networks.items()}
    replace_json(weights / f"{kind}.json", {**record, "files": names, "digests": digests})
    for old in weights.iterdir():
        if old.name.startswith(f"{kind}-") and old.name.endswith(".weights.h5") and old.name not in names.values():
            old.unlink()


def write_network(path: Path, network: tf.keras.Model) -> str:
    """Writes a network's weights in one piece, and returns their `arrays_digest`.

    Asks for the room first: of a file that it could not finish for want of it, HDF5 complains with a traceback when the
    file is let go of, or crashes at the end of Python.

    Raises:
        OSError: the disk is full.
    """
    wanted = sum(4 * math.prod(variable.shape) + _BESIDE for variable in network.variables) + _AROUND
    if shutil.disk_usage(path.parent).free < wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    replace_file(path, lambda place: network.save_weights(str(place)))
    return arrays_digest(path)


def arrays_digest(path: Path) -> str:
    """What the arrays of an HDF5 file are known by: the SHA-256 of their places and values in single precision.

    Of the arrays and not of the file, whose other bytes Keras does not write alike twice.

    Raises:
        OSError: no such file, or damaged.
    """
    found: list[str] = []

    def add(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            values = np.asarray(item, np.float32).tobytes()
            found.append(f"{name} {item.shape} {hashlib.sha256(values).hexdigest()}")

    with h5py.File(path, "r") as stream:
        stream.visititems(add)
    return hashlib.sha256("\n".join(sorted(found)).encode()).hexdigest()


def weights_record(folder: Path) -> dict:
    """The record of the best inference weights of a run, or of the last ones where no best has been chosen.

    Raises:
        UserError: there is none, or it is damaged.
    """
    weights = Path(folder) / "weights"
    for kind in KINDS:
        if (weights / f"{kind}.json").exists():
            record = read_json(weights / f"{kind}.json", way_out=_MEND[kind])
            if isinstance(record.get("files"), dict) and isinstance(record.get("step"), int):
                return record
            raise UserError(f"{weights / kind}.json: names no files; {_MEND[kind]}")
    raise UserError(f"{folder}: no weights in it yet; train until the first checkpoint is saved")


def exported(folder: Path, kind: str, what: str) -> Any:
    """What the record of a run's ``best`` or ``last`` weights says, such as their ``step`` or the ``figure`` that chose
    them; ``None`` where there is none, or a damaged one.
    """
    try:
        return read_json(Path(folder) / "weights" / f"{kind}.json", way_out="")[what]
    except (UserError, KeyError, TypeError):
        return None


def load_weights(folder: Path, networks: Mapping[str, tf.keras.Model]) -> dict:
    """Loads the weights of `weights_record` and returns it.

    Raises:
        UserError: there are none, or they do not fit the networks.
    """
    record = weights_record(folder)
    for name, network in networks.items():
        file = Path(folder) / "weights" / Path(str(record["files"].get(name, f"(none for {name})"))).name
        known = record.get("digests")
        digest = known.get(name) if isinstance(known, dict) else None
        load_into(network, file, what=f"weights of the network {name}", digest=digest)
    return record


def load_into(network: tf.keras.Model, file: Path, *, what: str, digest: str | None = None) -> None:
    """Loads a ``.weights.h5`` file; it holds arrays only, so nothing of it is executed.

    Args:
        network: that they are of.
        file: of them.
        what: they are, for the error.
        digest: their `arrays_digest` when they were saved; ``None`` where nobody wrote it down.

    Raises:
        UserError: missing, damaged, of another kind, or of another network.
    """
    try:
        if not str(file).endswith(WEIGHTS_ENDING):  # Keras would read it as something else, and perhaps nothing of it
            raise ValueError(f"its name does not end in {WEIGHTS_ENDING}")
        if digest is not None and arrays_digest(file) != digest:
            raise ValueError("its numbers have changed since it was saved")
        network.load_weights(str(file))
    except Exception as error:  # h5py and Keras raise many kinds for a wrong file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{file}: missing, damaged or not the {what} ({reason})") from error
