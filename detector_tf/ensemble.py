"""Mean of several detectors' probabilities, beside its best member."""

from pathlib import Path
from typing import Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.metrics.classification import METRICS
from common_tf.runs.files import replace_json
from detector_tf.figures import save_figures
from detector_tf.predictions import METRICS_FILE, PREDICTIONS_FILE, Predictions, judge, plain, read_predictions, verdict


def ensemble_runs(runs: Sequence[Path], *, output: Path) -> dict:
    """Averages the calibrated probabilities of runs on the test images that all of them held out.

    Writes predictions.csv, metrics.json (with the members' figures on the same images) and figures/ into a new folder
    and prints a table. The threshold is the mean of the members' thresholds: nothing is chosen on test images.

    Args:
        runs: two or more finished runs, with the same classes; with folds, split alike.
        output: a folder that is not there yet, or is empty.

    Raises:
        UserError: fewer than two runs, other classes, other folds, no test images in common, or a folder in use.
    """
    if len(runs) < 2:
        raise UserError("--ensemble: wants two or more runs")
    output = Path(output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UserError(f"--run {output}: is in use; choose a new folder for the ensemble")
    members = [read_predictions(run).select(split="test") for run in runs]
    for run, member in zip(runs, members):
        if member.classes != members[0].classes:
            raise UserError(
                f"--ensemble {run}: its classes are {member.classes}, those of {runs[0]} {members[0].classes}"
            )
    tables = [{row["path"]: row for row in member.rows} for member in members]
    shared = [path for path in tables[0] if all(path in table for table in tables)]
    if not shared:
        raise UserError(
            "--ensemble: the runs have no test images in common; train them with the same --seed and --folds"
        )
    moved = [path for path in shared if len({table[path]["fold"] for table in tables}) > 1]
    if moved:
        raise UserError(
            f"--ensemble: {len(moved)} images stand in different folds of the runs ({moved[0]}, ...), so some "
            "member has trained on an image that another is tested on; train them with the same --seed and --folds"
        )
    aligned = [Predictions(members[0].classes, [table[path] for path in shared]) for table in tables]
    mean = np.mean([member.probabilities for member in aligned], axis=0)
    thresholds = np.mean([member.thresholds for member in aligned], axis=0)
    classes = members[0].classes
    rows = [
        {**row, **verdict(classes, chances, threshold)}
        for row, chances, threshold in zip(aligned[0].rows, mean, thresholds)
    ]
    together = Predictions(classes, rows)
    names = [Path(run).name for run in runs]
    metrics = {**judge(together), "members": {str(run): judge(member) for run, member in zip(runs, aligned)}}
    best = max(aligned, key=lambda member: judge(member)["roc_auc"]["value"])
    metrics["best_member"] = str(runs[aligned.index(best)])
    metrics["beats_best_member"] = bool(
        metrics["roc_auc"]["value"] > metrics["members"][metrics["best_member"]]["roc_auc"]["value"]
    )
    output.mkdir(parents=True, exist_ok=True)
    together.write(output / PREDICTIONS_FILE)
    replace_json(output / METRICS_FILE, plain(metrics))
    save_figures(output / "figures", together)
    _print(metrics, names, runs, len(shared))
    return metrics


def _print(metrics: dict, names: Sequence[str], runs: Sequence[Path], count: int) -> None:
    print(f"{count} test images that all members held out; 95 % intervals over groups")
    print(f"{'':20}" + "".join(f"{name[:20]:>24}" for name in ("ensemble", *names)))
    columns = [metrics, *(metrics["members"][str(run)] for run in runs)]
    for name in METRICS:
        cells = [f"{c[name]['value']:.3f} [{c[name]['low']:.3f}, {c[name]['high']:.3f}]" for c in columns]
        print(f"  {name:18}" + "".join(f"{cell:>24}" for cell in cells))
    verdict = "is above" if metrics["beats_best_member"] else "does not help: it is not above"
    print(f"the ensemble {verdict} its best member, {Path(metrics['best_member']).name}, by ROC-AUC")
