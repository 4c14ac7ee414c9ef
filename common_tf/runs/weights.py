"""Inference weights beside a run's checkpoints: framework-neutral, ``best`` and ``last``."""

import errno
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
    for name, network in networks.items():
        write_network(weights / names[name], network)
    replace_json(weights / f"{kind}.json", {**record, "files": names})
    for old in weights.iterdir():
        if old.name.startswith(f"{kind}-") and old.name.endswith(".weights.h5") and old.name not in names.values():
            old.unlink()


def write_network(path: Path, network: tf.keras.Model) -> None:
    """Writes a network's weights in one piece.

    Asks for the room first: of a file that it could not finish for want of it, HDF5 complains with a traceback when the
    file is let go of, or crashes at the end of Python.

    Raises:
        OSError: the disk is full.
    """
    wanted = sum(4 * math.prod(variable.shape) + _BESIDE for variable in network.variables) + _AROUND
    if shutil.disk_usage(path.parent).free < wanted:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    replace_file(path, lambda place: network.save_weights(str(place)))


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
        load_into(network, file, what=f"weights of the network {name}")
    return record


def load_into(network: tf.keras.Model, file: Path, *, what: str) -> None:
    """Loads a ``.weights.h5`` file; it holds arrays only, so nothing of it is executed.

    Raises:
        UserError: missing, damaged, of another kind, or of another network.
    """
    try:
        if not str(file).endswith(WEIGHTS_ENDING):  # Keras would read it as something else, and perhaps nothing of it
            raise ValueError(f"its name does not end in {WEIGHTS_ENDING}")
        network.load_weights(str(file))
    except Exception as error:  # h5py and Keras raise many kinds for a wrong file
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(f"{file}: missing, damaged or not the {what} ({reason})") from error
