"""predictions.csv: what a run predicted on images it never saw; and how good that is."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from common_tf.csv_table import csv_text_of, read_csv
from common_tf.errors import UserError
from common_tf.files import replace_text
from common_tf.measurement.measurement import Measurement, measure, number
from common_tf.metrics.classification import METRICS, confusion_matrix, measured_metrics, predicted_classes

PREDICTIONS_FILE = "predictions.csv"
METRICS_FILE = "metrics.json"
FLOOR = "floor_accuracy_of_the_largest_class"
CLEAN = "test_without_near_duplicates_of_training"
_FIXED = ("path", "sha256", "label", "group", "groups_are", "fold", "split", "predicted", "threshold")
_SINCE_FORMAT_2 = ("sha256", "groups_are")


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
        return np.array([self.classes.index(row["label"]) for row in self.rows], int)

    @property
    def probabilities(self) -> np.ndarray:
        """``(n, classes)``, calibrated."""
        return np.array([[float(row[f"p_{name}"]) for name in self.classes] for row in self.rows])

    @property
    def groups(self) -> np.ndarray:
        """``(n,)`` names of the group of each."""
        return np.array([row["group"] for row in self.rows])

    @property
    def groups_are(self) -> str:
        """What the groups are: patients, near-duplicate groups, drawn heads; of mixed ones, groups."""
        found = {row["groups_are"] for row in self.rows}
        return found.pop() if len(found) == 1 else "groups"

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
        names = [*_FIXED, *(f"p_{name}" for name in self.classes)]
        replace_text(path, csv_text_of(names, self.rows))


def read_predictions(run: Path) -> Predictions:
    """Reads the predictions of a run.

    Raises:
        UserError: there are none, or they are damaged or of an earlier version.
    """
    path = Path(run) / PREDICTIONS_FILE
    classes, rows = read_table(path)
    if not all(set(_SINCE_FORMAT_2) <= set(row) for row in rows):
        raise UserError(
            f"{path}: of an earlier version, which wrote no hashes of the files; convert the run once: "
            f"python -m detector_tf.conversion {run}"
        )
    return Predictions(classes, rows)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The class names and the rows of a predictions.csv, also of earlier versions.

    Raises:
        UserError: it is missing or damaged.
    """
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            names, lines = read_csv(stream)
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; is {path.parent} a detector's run that has ended?") from error
    except (OSError, ValueError, csv.Error) as error:  # an empty file has no header
        raise UserError(f"{path}: cannot be read; continue the run, which writes it again") from error
    rows = [dict(zip(names, line)) for line in lines if len(line) == len(names)]
    classes = [name[2:] for name in names if name.startswith("p_")]
    if not classes or not set(names) >= set(_FIXED) - set(_SINCE_FORMAT_2):
        raise UserError(f"{path}: not the predictions of a detector")
    if not rows or len(rows) < len(lines) or not all(_is_whole(row, classes) for row in rows):
        raise UserError(f"{path}: cut or damaged; continue the run, which writes it again")
    return classes, rows


def _is_whole(row: Mapping[str, str], classes: Sequence[str]) -> bool:
    try:
        numbers = [float(row[name]) for name in ("threshold", *(f"p_{name}" for name in classes))]
    except (TypeError, ValueError):
        return False
    return row["label"] in classes and bool(np.isfinite(numbers).all())


def verdict(classes: Sequence[str], chances: np.ndarray, threshold: float) -> dict[str, str]:
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


def judge(predictions: Predictions) -> dict[str, Any]:
    """How good predictions are.

    Returns:
        Every name of `common_tf.metrics.classification.METRICS` and `FLOOR` (the accuracy of always naming the class
        that most of the images have) as a `Measurement` with its interval over groups; and ``n``, ``groups``,
        ``groups_are``, ``classes``, ``positive``, ``confusion_matrix``, ``confusion_matrix_rows`` as they are.
    """
    truth, probabilities = predictions.truth, predictions.probabilities
    thresholds, of = predictions.thresholds, predictions.groups_are
    classes = len(predictions.classes)
    predicted = predicted_classes(probabilities, threshold=thresholds)
    largest = np.bincount(truth, minlength=classes).argmax()
    return {
        **measured_metrics(truth, probabilities, predictions.groups, threshold=thresholds, of=of),
        FLOOR: measure(truth == largest, predictions.groups, of=of),
        "n": len(truth),
        "groups": len(set(predictions.groups.tolist())),
        "groups_are": of,
        "classes": list(predictions.classes),
        "positive": predictions.classes[1] if classes == 2 else None,
        "confusion_matrix": confusion_matrix(truth, predicted, classes=classes).astype(int).tolist(),
        "confusion_matrix_rows": "truth",
    }


def as_record(judged: Any) -> Any:
    """What `judge` found, for JSON: each `Measurement` as its value, ends, n, groups and kind of interval."""
    if isinstance(judged, Measurement):
        return judged.as_dict()
    if isinstance(judged, Mapping):
        return {name: as_record(value) for name, value in judged.items()}
    return judged


def metrics_lines(judged: Mapping[str, Any]) -> list[str]:
    """What `judge` found as lines for a terminal, with the spread over folds where there is one."""
    sides = [("test images", judged)]
    if CLEAN in judged:
        sides.append(("without near-duplicates of training", judged[CLEAN]))
    lines = []
    for title, found in sides:
        lines.append(
            f"{found['n']} {title}, {counted_groups(found['groups'], found['groups_are'])}; 95 % intervals over "
            f"groups; always the largest class: accuracy {number(found[FLOOR].value)}"
        )
        for name in METRICS:
            one = found[name]
            line = f"  {name:18}{number(one.value):5}  [{number(one.low)}, {number(one.high)}]"
            spread = found.get("mean_over_folds", {}).get(name)
            if spread and np.isfinite(spread["standard_deviation"]):
                line += f"   folds {number(spread['mean'])} +- {number(spread['standard_deviation'])}"
            lines.append(line)
        lines.append("  confusion matrix, rows = truth: " + ", ".join(found["classes"]))
        lines += ["    " + "".join(f"{count:6d}" for count in row) for row in found["confusion_matrix"]]
    return lines


def counted_groups(count: int, of: str) -> str:
    """``48 distinct groups``, ``10 patients``."""
    return f"{count} {of if of == 'patients' else 'distinct groups'}"
