"""A run to give away: what inference, reports and leak checks need of it, and nothing of the machine that made it.

    python -m common_tf.runs.giving RUN FOLDER

writes FOLDER (which must not be there yet) with the settings, the manifest of hashes and the inference weights in half
precision; checkpoints, logs, pictures and caches stay behind. It is read like the run itself.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import read_json, replace_json, unfinished_name
from common_tf.pictures.preparation import PREPARATION_FILE
from common_tf.runs.config import read_config_file
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.saved_detector import MODEL_FILE
from common_tf.runs.weights import arrays_digest, weights_record
from common_tf.splits.manifest import MANIFEST_FILE
from common_tf.splits.seen import INHERITED_FILE, PAIRS_FILE

# Those of a detector are named here, for its wing stands above this one.
_KEPT = (
    PREPARATION_FILE, "detector.json", "predictions.csv", "metrics.json", MANIFEST_FILE, INHERITED_FILE, PAIRS_FILE,
)  # fmt: skip
_LARGEST = float(np.finfo(np.float16).max)


def give_away(run: Path, target: Path) -> None:
    """Writes the folder to give away, in one piece.

    Args:
        run: a finished run of either kind; of a cross-validation one of its folds.
        target: a folder that is not there yet.

    Raises:
        UserError: the target is there, or the run has no weights or is damaged.
    """
    run, target = Path(run), Path(target)
    if target.exists():
        raise UserError(f"{target}: is there already; name a folder that is not")
    files = _weights_files(run)
    config = without_places(read_config_file(run / CONFIG_FILE))
    target.parent.mkdir(parents=True, exist_ok=True)
    made = unfinished_name(target)
    try:
        (made / "weights").mkdir(parents=True)
        for name in _KEPT:
            if (run / name).exists():
                shutil.copyfile(run / name, made / name)
        (made / CONFIG_FILE).write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
        record, *arrays = files
        for file in arrays:
            halve(file, made / "weights" / file.name)
        write_digests(record, made / "weights")
        os.replace(made, target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise


def _weights_files(run: Path) -> list[Path]:
    weights = run / "weights"
    if (run / MODEL_FILE).exists():
        record = read_json(run / MODEL_FILE, way_out="restore it")
        return [run / MODEL_FILE, weights / Path(str(record.get("weights"))).name]
    record = weights_record(run)
    kind = "best" if (weights / "best.json").exists() else "last"
    return [weights / f"{kind}.json", *(weights / Path(str(name)).name for name in record["files"].values())]


def write_digests(record: Path, weights: Path) -> None:
    """Writes the record of a run's weights beside others of the same names, with what those are known by.

    Args:
        record: of the run, of either kind.
        weights: folder of the others.
    """
    content = read_json(record, way_out="restore it")
    if "files" in content:
        names = content["files"]
        content["digests"] = {name: arrays_digest(weights / Path(str(names[name])).name) for name in names}
    else:
        content["digest"] = arrays_digest(weights / Path(str(content["weights"])).name)
    replace_json(weights / record.name, content)


def without_places(value: Any) -> Any:
    """Settings in which an absolute path is its last name: whose machine it was is nobody's business."""
    if isinstance(value, dict):
        return {name: without_places(item) for name, item in value.items()}
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def halve(source: Path, target: Path) -> None:
    """Copies a file of weights with its 32-bit numbers in 16 bits; an array with larger ones than those hold stays.

    Args:
        source, target: HDF5 files of arrays, as Keras writes them.

    Raises:
        UserError: it is none.
    """
    try:
        with h5py.File(source, "r") as old, h5py.File(target, "w") as new:
            new.attrs.update(old.attrs)
            old.visititems(lambda name, item: _copy(item, new, name))
    except OSError as error:
        raise UserError(f"{source}: missing, damaged or no file of weights") from error


def _copy(item: Any, new: h5py.File, name: str) -> None:
    if isinstance(item, h5py.Group):
        made = new.require_group(name)
    else:
        values = item[()]
        small = item.dtype == np.float32 and np.all(np.abs(values) <= _LARGEST)
        made = new.create_dataset(name, data=values.astype(np.float16) if small else values)
    made.attrs.update(item.attrs)


def main(argv: Sequence[str] | None = None) -> None:
    """Gives away the run that the command line names."""
    words = sys.argv[1:] if argv is None else list(argv)
    if len(words) != 2:
        raise UserError("wants a run and a folder: python -m common_tf.runs.giving RUN FOLDER")
    give_away(Path(words[0]), Path(words[1]))
    size = sum(file.stat().st_size for file in Path(words[1]).rglob("*") if file.is_file())
    print(f"{words[1]}: {size / 1e6:.1f} MB; write its card (README.md) beside the files")


if __name__ == "__main__":
    sys.exit(run_script(main))
