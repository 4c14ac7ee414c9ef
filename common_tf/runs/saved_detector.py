"""A trained detector as it passes from one wing to another: its config and its weights, and no code.

    weights/detector.json          what network it is (`NetworkSpec`), and which weights file belongs to it
    weights/detector-STEP.weights.h5

The network is rebuilt by this project's own code; nothing of the files is executed.
"""

import hashlib
import json
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common_tf.backbones import NetworkSpec, backbones, build_network
from common_tf.errors import UserError
from common_tf.files import plain, read_json, replace_json
from common_tf.runs.weights import load_into, write_network

if TYPE_CHECKING:
    import tensorflow as tf

MODEL_FILE = "weights/detector.json"
OLD_MODEL_FILE = "weights/detector.keras"
_FORMAT = 1
_OLD_WEIGHTS = "model.weights.h5"
_PUT_BACK = "put back the run's own file"
_LIMITS = {
    "side": (1, 4096), "channels": (1, 16), "classes": (2, 10_000), "filters": (1, 4096), "seed": (0, 2**63 - 1),
}  # fmt: skip


def save_detector(run: Path, network: "tf.keras.Model", spec: NetworkSpec, *, step: int) -> None:
    """Saves a detector's network. The record is replaced last, so that a reader finds a whole set at any time."""
    weights = Path(run) / MODEL_FILE
    name = f"detector-{step:07d}.weights.h5"
    digest = write_network(weights.with_name(name), network)
    replace_json(weights, {"format": _FORMAT, "network": asdict(spec), "weights": name, "digest": digest})
    for old in weights.parent.iterdir():
        if old.name.startswith("detector-") and old.name.endswith(".weights.h5") and old.name != name:
            old.unlink()


def load_detector_network(run: Path, *, policy: str = "float32") -> tuple["tf.keras.Model", NetworkSpec]:
    """The network of a run, with its weights.

    Raises:
        UserError: there is none, or it is damaged, or something else.
    """
    record = Path(run) / MODEL_FILE
    if not record.exists() and (Path(run) / OLD_MODEL_FILE).exists():
        raise UserError(
            f"{Path(run) / OLD_MODEL_FILE}: of an earlier version, which kept models with their code; convert it once: "
            f"python -m detector_tf.conversion {run}"
        )
    content = read_json(record, way_out=f"is {run} the folder of a detector's run, trained to its first validation?")
    spec = spec_from(content.get("network"), record)
    try:
        network = build_network(spec, policy=policy)
    except ValueError as error:  # Keras': layers that leave nothing of the image
        raise UserError(f"{record}: {spec.backbone} cannot be built for {spec.side} pixels; {_PUT_BACK}") from error
    file = _weights_file(record, content)
    load_into(network, file, what=f"weights of this {spec.backbone}", digest=content.get("digest"))
    return network, spec


def spec_from(values: Any, record: Path) -> NetworkSpec:
    """A `NetworkSpec` from a record's values.

    Raises:
        UserError: they are none.
    """
    try:
        spec = NetworkSpec(**values)
    except TypeError as error:
        raise UserError(f"{record}: describes no network of a detector; {_PUT_BACK}") from error
    wrong = [name for name, value in asdict(spec).items() if not _fits(name, value)]
    if wrong:
        shown = ", ".join(f"{name} {str(getattr(spec, name))[:40]}" for name in wrong)
        raise UserError(f"{record}: describes no network of a detector ({shown}); {_PUT_BACK}")
    return spec


def _fits(name: str, value: Any) -> bool:
    if name == "backbone":
        return isinstance(value, str) and value in backbones()
    if name == "dropout":
        return isinstance(value, float) and 0 <= value < 1
    low, high = _LIMITS[name]
    return type(value) is int and low <= value <= high


def _weights_file(record: Path, content: Mapping[str, Any]) -> Path:
    return record.parent / (Path(str(content.get("weights"))).name or "(no name)")


def weights_digest(run: Path) -> str:
    """What the weights of a run are known by: the hash of their record and file.

    Raises:
        UserError: there are none.
    """
    record = Path(run) / MODEL_FILE
    content = read_json(record, way_out=f"is {run} the folder of a detector's run?")
    digest = hashlib.sha256(json.dumps(plain(content), sort_keys=True).encode())
    try:
        digest.update(_weights_file(record, content).read_bytes())
    except OSError as error:
        raise UserError(f"{_weights_file(record, content)}: cannot be read ({error.strerror}); {_PUT_BACK}") from error
    return digest.hexdigest()


def convert_old_detector(run: Path, spec: NetworkSpec, *, step: int) -> None:
    """Rewrites a model of an earlier version (a Keras archive) in today's form; of the archive only arrays are read.

    Args:
        run: of the detector.
        spec: what network its config describes.
        step: that the model was saved at.

    Raises:
        UserError: no such archive, or not of this network.
    """
    file = Path(run) / OLD_MODEL_FILE
    network = build_network(spec, policy="float32")
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(file) as archive:
                inner = Path(folder) / _OLD_WEIGHTS
                inner.write_bytes(archive.read(_OLD_WEIGHTS))
        except (OSError, KeyError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
            raise UserError(f"{file}: not found, or no model of an earlier version") from error
        load_into(network, inner, what=f"weights of a {spec.backbone}")
    save_detector(run, network, spec, step=step)
