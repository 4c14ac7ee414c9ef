"""predictions.csv and metrics.json: what a run predicted on images it never saw, and how good that is."""

import csv
import io
import json
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.metrics.calibration import fit_temperature, to_probabilities
from common_tf.metrics.classification import (
    METRICS,
    best_threshold,
    classification_metrics,
    confusion_matrix,
    grouped_intervals,
    predicted_classes,
)
from common_tf.runs.files import replace_json, replace_text
from detector_tf.config import DetectorConfig
from detector_tf.data import DetectorData
from detector_tf.figures import save_figures
from detector_tf.folds import fold_folder
from detector_tf.splits import unleaked

PREDICTIONS_FILE = "predictions.csv"
METRICS_FILE = "metrics.json"
_FIXED = ("path", "label", "group", "fold", "split", "predicted", "threshold")


class Predictions:
    """Predictions of some images, in the order of predictions.csv.

    Attributes:
        classes: names by class number.
        rows: the file's rows as dictionaries of text.
    """

    def __init__(self, classes: Sequence[str], rows: Sequence[Mapping[str, str]]):
        self.classes = tuple(classes)
        self.rows = list(rows)

    @property
    def truth(self) -> np.ndarray:
        """``(n,)`` class numbers."""
        return np.array([self.classes.index(row["label"]) for row in self.rows])

    @property
    def probabilities(self) -> np.ndarray:
        """``(n, classes)``, calibrated."""
        return np.array([[float(row[f"p_{name}"]) for name in self.classes] for row in self.rows])

    @property
    def groups(self) -> np.ndarray:
        """``(n,)`` near-duplicate groups."""
        return np.array([row["group"] for row in self.rows])

    @property
    def thresholds(self) -> np.ndarray:
        """``(n,)``, of the fold that predicted each."""
        return np.array([float(row["threshold"]) for row in self.rows])

    def select(self, **wanted: str) -> "Predictions":
        """The rows whose columns have the given values."""
        return Predictions(
            self.classes, [row for row in self.rows if all(row[name] == value for name, value in wanted.items())]
        )

    def write(self, path: Path) -> None:
        """Writes predictions.csv."""
        buffer = io.StringIO()
        names = [*_FIXED, *(f"p_{name}" for name in self.classes)]
        writer = csv.DictWriter(buffer, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        replace_text(path, buffer.getvalue())


def read_predictions(run: Path) -> Predictions:
    """Reads the predictions of a run.

    Raises:
        UserError: there are none.
    """
    path = Path(run) / PREDICTIONS_FILE
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
    except OSError as error:
        raise UserError(f"{path}: not found; is {run} the folder of a detector's run that has ended?") from error
    classes = [name[2:] for name in reader.fieldnames or () if name.startswith("p_")]
    if not classes or not set(_FIXED) <= set(reader.fieldnames):
        raise UserError(f"{path}: not the predictions of a detector")
    return Predictions(classes, rows)


def judge_fold(
    path: Path, config: DetectorConfig, data: DetectorData, split: Mapping, logits: Mapping, number: int
) -> dict:
    """Calibrates on validation, predicts validation and test, and writes predictions.csv and metrics.json.

    Args:
        path: of the fold's run.
        config: of the run.
        data: of the run.
        split: masks of the fold.
        logits: ``validation`` and ``test``, each ``(n, classes)``.
        number: of the fold.

    Returns:
        ``temperature`` and ``threshold``; both chosen on the validation images alone.
    """
    truth = {side: data.images.labels[split[side]] for side in logits}
    temperature = fit_temperature(logits["validation"], truth["validation"])
    probabilities = {side: to_probabilities(logits[side], temperature=temperature) for side in logits}
    threshold = 0.5
    if len(data.classes) == 2:
        threshold = best_threshold(truth["validation"], probabilities["validation"][:, 1])
    rows = []
    for side in ("test", "validation"):
        for index, chances in zip(np.flatnonzero(split[side]), probabilities[side]):
            rows.append(
                {
                    "path": data.images.names[index],
                    "label": data.classes[data.images.labels[index]],
                    "group": f"{data.images.groups[index]:05d}",
                    "fold": str(number),
                    "split": side,
                    **verdict(data.classes, chances, threshold),
                }
            )
    predictions = Predictions(data.classes, rows)
    predictions.write(path / PREDICTIONS_FILE)
    test = predictions.select(split="test")
    metrics = judge(test)
    metrics.update(temperature=temperature, threshold=threshold)
    clean = unleaked(data.images, split)[split["test"]]
    if clean.any() and not clean.all():
        kept = Predictions(data.classes, [row for row, keep in zip(test.rows, clean) if keep])
        metrics["test_without_near_duplicates_of_training"] = judge(kept)
    replace_json(path / METRICS_FILE, plain(metrics))
    save_figures(path / "figures", test)
    return {"temperature": temperature, "threshold": threshold}


def verdict(classes: Sequence[str], chances: np.ndarray, threshold: float) -> dict:
    """The columns of a row that say what was found.

    All digits are kept: rounded, a probability next to the threshold would be read back on its other side.

    Args:
        classes: names.
        chances: ``(classes,)`` calibrated probabilities.
        threshold: of the second class, where there are two.
    """
    guess = int(predicted_classes(np.asarray(chances)[None], threshold=threshold)[0])
    columns = {f"p_{name}": repr(float(chance)) for name, chance in zip(classes, chances)}
    return {"predicted": classes[guess], "threshold": repr(float(threshold)), **columns}


def judge_run(run: Path, config: DetectorConfig, data: DetectorData, splits: Sequence) -> None:
    """Pools the folds of a cross-validation, and prints the table of the run."""
    if config.folds:
        folds = [read_predictions(fold_folder(run, config, number)) for number in range(len(splits))]
        pooled = Predictions(data.classes, [row for fold in folds for row in fold.rows])
        pooled.write(run / PREDICTIONS_FILE)
        metrics = judge(pooled.select(split="test"))
        singles = [classification_of(fold.select(split="test")) for fold in folds]
        metrics["folds"] = singles
        metrics["mean_over_folds"] = {name: _spread([single[name] for single in singles]) for name in METRICS}
        replace_json(run / METRICS_FILE, plain(metrics))
        save_figures(run / "figures", pooled.select(split="test"))
    print("\n".join(metrics_lines(run)), flush=True)


def _spread(values: Sequence[float]) -> dict:
    """Mean and standard deviation of a metric over the folds in which it is defined; nan for what is not."""
    defined = [value for value in values if np.isfinite(value)]
    return {
        "mean": float(np.mean(defined)) if defined else float("nan"),
        "standard_deviation": float(np.std(defined, ddof=1)) if len(defined) > 1 else float("nan"),
    }


def judge(predictions: Predictions) -> dict:
    """Every metric with its interval over near-duplicate groups, the majority's accuracy as floor, and the
    confusions.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    thresholds = predictions.thresholds
    intervals = grouped_intervals(truth, probabilities, predictions.groups, threshold=thresholds)
    predicted = predicted_classes(probabilities, threshold=thresholds)
    classes = len(predictions.classes)
    return {
        **intervals,
        "n": len(truth),
        "groups": len(set(predictions.groups.tolist())),
        "interval": "95 % percentile bootstrap over near-duplicate groups, 1,000 resamples",
        "classes": list(predictions.classes),
        "positive": predictions.classes[1] if classes == 2 else None,
        "floor_accuracy_of_the_largest_class": float(np.bincount(truth, minlength=classes).max() / len(truth)),
        "confusion_matrix": confusion_matrix(truth, predicted, classes=classes).astype(int).tolist(),
        "confusion_matrix_rows": "truth",
    }


def classification_of(predictions: Predictions) -> dict:
    """The metrics without intervals."""
    values = classification_metrics(predictions.truth, predictions.probabilities, threshold=predictions.thresholds)
    return {**values, "n": len(predictions.rows)}


def metrics_lines(run: Path) -> list:
    """A run's metrics as lines for a terminal."""
    metrics = json.loads((Path(run) / METRICS_FILE).read_text(encoding="utf-8"))
    sides = [("test images", metrics)]
    clean = metrics.get("test_without_near_duplicates_of_training")
    if clean:
        sides.append(("without near-duplicates of training", clean))
    lines = []
    for title, record in sides:
        lines.append(
            f"{record['n']} {title}, {record['groups']} distinct groups; 95 % intervals over groups; "
            f"always the largest class: accuracy {record['floor_accuracy_of_the_largest_class']:.3f}"
        )
        for name in METRICS:
            entry = record[name]
            line = f"  {name:18}{_number(entry['value'])}  [{_number(entry['low'])}, {_number(entry['high'])}]"
            spread = metrics.get("mean_over_folds", {}).get(name)
            if spread and record is metrics and spread["standard_deviation"] is not None:
                line += f"   folds {_number(spread['mean'])} +- {_number(spread['standard_deviation'])}"
            lines.append(line)
        lines.append("  confusion matrix, rows = truth: " + ", ".join(record["classes"]))
        lines += ["    " + "".join(f"{count:6d}" for count in row) for row in record["confusion_matrix"]]
    return lines


def _number(value) -> str:
    return "  -  " if value is None else f"{value:.3f}"


def plain(value):
    """JSON has no nan: what is not defined becomes null."""
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
