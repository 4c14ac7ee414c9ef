"""How good is the detector itself, from the predictions it stored on images it never saw?"""

from pathlib import Path

import numpy as np

from common_tf.metrics.classification import METRICS
from detector_tf.figures import save_figures
from detector_tf.predictions import judge, read_predictions
from evaluation_tf.measurement import Column, Figure, Measurement, Row, Section, Table

_BETTER = {"brier": "lower", "ece": "lower"}
_DEFINITIONS = {
    "accuracy": "share of right predictions at the threshold chosen on validation",
    "balanced_accuracy": "mean recall over the classes",
    "precision": "share of predicted positives that are positive (many classes: mean over the classes)",
    "sensitivity": "share of positives that are found; recall",
    "specificity": "share of negatives that are found",
    "f1": "harmonic mean of precision and sensitivity",
    "mcc": "Matthews' correlation coefficient (many classes: Gorodkin's R_K)",
    "roc_auc": "area under the ROC curve, ties count half",
    "pr_auc": "average precision",
    "brier": "mean squared error of the calibrated probability (Brier 1950)",
    "ece": "expected calibration error, 10 bins (Naeini et al. 2015); resampling adds to it, so its interval may lie "
    "above it",
}
_TITLES = {"roc_auc": "ROC-AUC", "pr_auc": "PR-AUC", "f1": "F1", "mcc": "MCC", "brier": "Brier", "ece": "ECE"}
_FIGURES = {
    "roc.png": "ROC curve of the detector on the images that it was tested on.",
    "precision_recall.png": "Precision and recall; dotted: guessing.",
    "calibration.png": "Stated probability against observed frequency.",
    "confusion.png": "Confusion matrix; rows are the truth.",
}

DETECTION_COLUMNS = tuple(
    Column(
        name, _TITLES.get(name, name.replace("_", " ").capitalize()), _DEFINITIONS[name], _BETTER.get(name, "higher")
    )
    for name in METRICS
)


def detection_section(run: Path, figures: Path) -> Section:
    """The detector's figures from predictions.csv.

    Args:
        run: of the detector.
        figures: folder for ROC, precision-recall, calibration and confusion figures.

    Raises:
        UserError: the run has not ended.
    """
    test = read_predictions(run).select(split="test")
    section = Section(
        key="detection",
        title="How good is the detector?",
        intro="Computed from the probabilities that the detector stored for its own test images, calibrated and "
        "thresholded on validation images only. Intervals are over near-duplicate groups.",
    )
    record = judge(test)
    cells = {name: _measurement(record[name]) for name in METRICS}
    rows = [Row(f"{len(test.rows)} test images of {Path(run).name}", cells)]
    floor = Measurement(record["floor_accuracy_of_the_largest_class"], record["n"])
    rows.append(Row("floor: always the largest class", {"accuracy": floor}, "floor"))
    section.tables.append(Table("detection", "Detection", DETECTION_COLUMNS, rows))
    save_figures(figures / "detection", test)
    section.figures += [Figure(f"detection/{file}", caption, caption) for file, caption in _FIGURES.items()]
    if record["groups"] < 100:
        section.warnings.append(
            f"the detector was tested on {record['groups']} distinct images; its intervals are wide"
        )
    if np.isfinite(record["accuracy"]["low"]) and record["accuracy"]["low"] <= floor.value:
        section.warnings.append("the detector's accuracy is not surely above naming the largest class every time")
    return section


def _measurement(entry) -> Measurement:
    words = f"95 % percentile bootstrap over {entry['groups']} near-duplicate groups"
    return Measurement(entry["value"], entry["n"], entry["low"], entry["high"], words)
