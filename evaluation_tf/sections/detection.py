"""How good is the detector itself, from the predictions it stored on images it never saw?"""

from common_tf.measurement.measurement import Measurement, number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.classification import METRICS
from detector_tf.figures import save_figures
from detector_tf.predictions import FLOOR, judge, read_predictions
from evaluation_tf.context import Context
from evaluation_tf.parts import Card, Figure, Gap, Section

ORDER = 60
_FEW_GROUPS = 100
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


def build(context: Context) -> Section | None:
    """The detector's figures from predictions.csv."""
    panel = context.panel
    if panel is None:
        context.gaps.append(Gap("the detector's own figures", "no --detector was given"))
        return None
    test = read_predictions(panel.run).select(split="test")
    judged = judge(test)
    section = Section(
        key="detection",
        title="How good is the detector?",
        intro="Computed from the probabilities that the detector stored for its own test images, calibrated and "
        f"thresholded on validation images only. Intervals are over {judged['groups_are']}.",
    )
    detector = Row(
        f"{len(test.rows)} test images of {panel.run.name}", {name: judged[name] for name in METRICS}, key="detector"
    )
    floor = Row("floor: always the largest class", {"accuracy": judged[FLOOR]}, "floor", "largest_class")
    section.tables.append(Table("detection", "Detection", DETECTION_COLUMNS, [detector, floor]))
    save_figures(context.figures / "detection", test)
    section.figures += [Figure(f"detection/{file}", caption, caption) for file, caption in _FIGURES.items()]
    if judged["groups"] < _FEW_GROUPS:
        section.warnings.append(
            f"the detector was tested on {judged['groups']} distinct images; its intervals are wide"
        )
    accuracy: Measurement = judged["accuracy"]
    if accuracy.has_interval and accuracy.low <= floor.value("accuracy"):
        section.warnings.append("the detector's accuracy is not surely above naming the largest class every time")
    section.card = _card(accuracy, judged["roc_auc"], floor.value("accuracy"))
    return section


def _card(accuracy: Measurement, area: Measurement, floor: float) -> Card:
    good = accuracy.has_interval and accuracy.low > floor
    return Card(
        title="How good is the detector? ROC-AUC",
        value=area.text(2),
        detail=f"accuracy {accuracy.text(2)}, n = {accuracy.n}; always the largest class {number(floor, 2)}",
        verdict="good" if good else "bad",
        words="surely above guessing" if good else "not surely above guessing",
    )
