"""Finished runs of earlier versions, in today's form.

    python -m detector_tf.conversion RUN

rewrites the config, the network, detector.json and predictions.csv of a run, and of its folds. Of the old network, a
Keras archive that may hold code, only the arrays are read.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.runs.config import build_tree, check_config, options_of, read_config_file, save_config, values_before
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.saved_detector import OLD_MODEL_FILE, convert_old_detector
from common_tf.runs.session import STATUS_FILE
from common_tf.splits.manifest import MANIFEST_FILE, read_manifest
from detector_tf.config import CONFIGS, DetectorConfig
from detector_tf.folds import fold_folders
from detector_tf.inference import read_record, write_record
from detector_tf.networks import network_spec
from detector_tf.predictions import PREDICTIONS_FILE, Predictions, read_table

_UNKNOWN_THEN: Mapping[str, Any] = {"window": "", "cache": ""}
_WAY_OUT = "put back the run's own file"


def converted_config(run: Path, content: Mapping[str, Any]) -> DetectorConfig:
    """The config of a run of the earlier flat form.

    Args:
        run: its folder.
        content: of its config.yaml.

    Raises:
        UserError: the run is not finished, or settings are missing or unknown.
    """
    file = run / CONFIG_FILE
    if content.get("task") not in CONFIGS:
        raise UserError(f"{file}: not the config of a detector; give the folder of a detector's run")
    tree = CONFIGS[content["task"]]
    for folder in fold_folders(run):
        status = read_json(folder / STATUS_FILE, way_out=f"a run of an earlier version must be finished; {_WAY_OUT}")
        if status.get("state") != "complete":
            raise UserError(f"{folder}: an unfinished run of an earlier version; finish it there, or train anew here")
    known = {**_UNKNOWN_THEN, **values_before(tree, 1)}
    values = {**known, **{name: value for name, value in content.items() if name in options_of(tree)}}
    missing = sorted(set(options_of(tree)) - set(values))
    foreign = sorted(set(content) - {name for other in CONFIGS.values() for name in options_of(other)})
    if missing or foreign:
        what = f"lacks {', '.join(missing)}" if missing else f"has unknown settings ({', '.join(foreign)})"
        raise UserError(f"{file}: {what}; a setting is never guessed, {_WAY_OUT}")
    try:
        config = build_tree(tree, values)
        check_config(config)
    except (TypeError, UserError) as error:
        raise UserError(f"{file}: {error}") from error
    return config


def convert_run(run: Path) -> None:
    """Rewrites a finished run; config.yaml, by which a run is told to be of today's form, last.

    Raises:
        UserError: see `converted_config`; or files that are missing or damaged.
    """
    run = Path(run)
    content = read_config_file(run / CONFIG_FILE)
    if "format" in content:
        print(f"{run}: is of today's form")
        return
    config = converted_config(run, content)
    folds = fold_folders(run)
    for folder in folds:
        _convert_network(folder, config)
    for folder in dict.fromkeys([*folds, run]):
        if config.task == "classify":
            _convert_predictions(folder)
    for folder in dict.fromkeys([*folds, run]):
        save_config(folder / CONFIG_FILE, config)
    print(f"{run}: converted; {OLD_MODEL_FILE} is not read any more and can be deleted")


def _convert_network(folder: Path, config: DetectorConfig) -> None:
    record = read_record(folder) if config.task == "classify" else None
    best = read_json(folder / "weights" / "best.json", way_out=_WAY_OUT)
    spec = network_spec(config, classes=len(record.classes) if record else 2)
    convert_old_detector(folder, spec, step=int(best.get("step", 0)))
    if record:
        write_record(folder, record)


def _convert_predictions(folder: Path) -> None:
    """Adds what predictions.csv did not say: the hash of each file, and what the groups are."""
    classes, rows = read_table(folder / PREDICTIONS_FILE)
    known = {row.path: row for row in read_manifest(folder / MANIFEST_FILE)}
    lost = [row["path"] for row in rows if row["path"] not in known]
    if lost:
        raise UserError(f"{folder / MANIFEST_FILE}: does not name {lost[0]}, which was predicted; {_WAY_OUT}")
    for row in rows:
        mine = known[row["path"]]
        row.update(sha256=mine.sha256, groups_are="drawn heads" if mine.note == "drawn" else "near-duplicate groups")
    Predictions(classes, rows).write(folder / PREDICTIONS_FILE)


def main(argv: Sequence[str] | None = None) -> None:
    """Converts the runs that the command line names."""
    for run in sys.argv[1:] if argv is None else argv:
        convert_run(Path(run))


if __name__ == "__main__":
    sys.exit(run_script(main))
