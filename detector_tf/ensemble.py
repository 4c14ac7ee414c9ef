"""Mean of several detectors' probabilities, beside its best member."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common_tf.errors import UserError
from common_tf.files import replace_json
from common_tf.metrics.classification import METRICS
from common_tf.runs.folder import CONFIG_FILE
from detector_tf.config import load_detector_config
from detector_tf.figures import save_figures
from detector_tf.inference import refuse_segmentation
from detector_tf.predictions import (
    METRICS_FILE,
    PREDICTIONS_FILE,
    Predictions,
    as_record,
    judge,
    read_predictions,
    verdict,
)

_SAME_SPLITS = "train them with the same --seed and --folds"


def ensemble_runs(runs: Sequence[Path], *, output: Path) -> dict[str, Any]:
    """Averages the calibrated probabilities of runs on the test images that all of them held out.

    Writes predictions.csv, metrics.json (with the members' figures on the same images) and figures/ into a new folder
    and prints a table. The threshold is the mean of the members' thresholds: nothing is chosen on test images. Images
    are the same where path and hash are.

    Args:
        runs: two or more finished runs, with the same classes; with folds, split alike.
        output: a folder that is not there yet, or is empty.

    Returns:
        `judge` of the ensemble, and under ``members`` of each.

    Raises:
        UserError: fewer than two runs, runs that segment, other classes, labels or folds, no test images in common, or
            a folder in use.
    """
    if len(runs) < 2 or len({Path(run).resolve() for run in runs}) < len(runs):
        raise UserError("--ensemble: wants two or more runs, each once")
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--run {output}: is in use; choose a new folder for the ensemble")
    aligned = _aligned(runs, [_read_member(Path(run)) for run in runs])
    classes = aligned[0].classes
    mean = np.mean([member.probabilities for member in aligned], axis=0)
    thresholds = np.mean([member.thresholds for member in aligned], axis=0)
    rows = [
        {**row, **verdict(classes, chances, threshold)}
        for row, chances, threshold in zip(aligned[0].rows, mean, thresholds)
    ]
    together = Predictions(classes, rows)
    judged = {**judge(together), "members": {str(run): judge(member) for run, member in zip(runs, aligned)}}
    members = judged["members"]
    judged["best_member"] = max(members, key=lambda name: np.nan_to_num(members[name]["roc_auc"].value, nan=-1))
    judged["beats_best_member"] = judged["roc_auc"].value > members[judged["best_member"]]["roc_auc"].value
    output.mkdir(parents=True, exist_ok=True)
    together.write(output / PREDICTIONS_FILE)
    replace_json(output / METRICS_FILE, as_record(judged))
    save_figures(output / "figures", together)
    _print(judged, len(rows))
    return judged


def _read_member(run: Path) -> Predictions:
    if (run / CONFIG_FILE).exists():  # an ensemble has none
        refuse_segmentation(run, load_detector_config(run))
    return read_predictions(run).select(split="test")


def _aligned(runs: Sequence[Path], members: Sequence[Predictions]) -> list[Predictions]:
    """The predictions of the images that all members tested, in one order."""
    for run, member in zip(runs, members):
        if member.classes != members[0].classes:
            raise UserError(
                f"--ensemble {run}: its classes are {member.classes}, those of {runs[0]} {members[0].classes}"
            )
    tables = [{(row["path"], row["sha256"]): row for row in member.rows} for member in members]
    shared = [key for key in tables[0] if all(key in table for table in tables)]
    paths = Counter(path for table in tables for path in {path for path, _ in table})
    changed = {path for path, count in paths.items() if count == len(tables)} - {path for path, _ in shared}
    if not shared:
        why = f"the pictures behind the {len(changed)} names that they share differ" if changed else _SAME_SPLITS
        raise UserError(f"--ensemble: the runs have no test images in common; {why}")
    for run, table in zip(runs, tables):
        other = [path for path, digest in shared if table[path, digest]["label"] != tables[0][path, digest]["label"]]
        if other:
            raise UserError(
                f"--ensemble {run}: {len(other)} images have another label there than in {runs[0]} ({other[0]}, ...); "
                "average runs that were trained on the same labels"
            )
    moved = [path for path, digest in shared if len({table[path, digest]["fold"] for table in tables}) > 1]
    if moved:
        raise UserError(
            f"--ensemble: {len(moved)} images stand in different folds of the runs ({moved[0]}, ...), so some "
            f"member has trained on an image that another is tested on; {_SAME_SPLITS}"
        )
    if changed:
        print(f"{len(changed)} names hold other pictures in some runs and are left out: {sorted(changed)[0]}, ...")
    return [Predictions(members[0].classes, [table[key] for key in shared]) for table in tables]


def _print(judged: Mapping[str, Any], count: int) -> None:
    members = judged["members"]
    print(f"{count} test images that all members held out; 95 % intervals over groups")
    print(f"{'':20}" + "".join(f"{name[:20]:>24}" for name in ("ensemble", *(Path(run).name for run in members))))
    for name in METRICS:
        cells = [found[name].text() for found in (judged, *members.values())]
        print(f"  {name:18}" + "".join(f"{cell:>24}" for cell in cells))
    said = "is above" if judged["beats_best_member"] else "does not help: it is not above"
    print(f"the ensemble {said} its best member, {Path(judged['best_member']).name}, by ROC-AUC")
