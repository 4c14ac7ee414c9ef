"""Figures of a classifier, with weights, so that a bootstrap over groups is a matter of counting.

``truth`` is ``(n,)`` int class numbers and ``probabilities`` ``(n, classes)``. With two classes, class 1 is the
positive one (the tumour), predicted where its probability reaches ``threshold``; with more, the most probable class
is predicted and precision, sensitivity, specificity, F1, ROC-AUC and PR-AUC are unweighted means over the classes
(one against the rest).
"""

from collections.abc import Sequence

import numpy as np

from common_tf.measurement.measurement import Measurement, interval_words
from common_tf.measurement.resampling import percentile_interval, resampled_groups
from common_tf.metrics.calibration import brier_score, expected_calibration_error

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "sensitivity",
    "specificity",
    "f1",
    "mcc",
    "roc_auc",
    "pr_auc",
    "brier",
    "ece",
)


def classification_metrics(
    truth: np.ndarray,
    probabilities: np.ndarray,
    *,
    threshold: float | np.ndarray = 0.5,
    weights: np.ndarray | None = None,
) -> dict:
    """All of `METRICS`; ``nan`` where one is not defined (no positive case, no predicted one).

    Accuracy, sensitivity, specificity, precision, F1: from the confusion matrix. Balanced accuracy: mean recall over
    the classes. MCC: Gorodkin's R_K (2004), which is Matthews' coefficient for two classes. ROC-AUC: area by
    trapezoids, ties count half. PR-AUC: average precision. Brier and ECE: see `common_tf.metrics.calibration`.
    """
    weights = np.ones(len(truth)) if weights is None else np.asarray(weights, np.float64)
    predicted = predicted_classes(probabilities, threshold=threshold)
    matrix = confusion_matrix(truth, predicted, classes=probabilities.shape[1], weights=weights)
    positives = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        total = matrix.sum()
        hits, actual, called = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
        recall, precision = hits / actual, hits / called
        specificity = (total - actual - called + hits) / (total - actual)
        f1 = 2 * hits / (actual + called)
        chosen = list(positives)
        results = {
            "accuracy": hits.sum() / total,
            "balanced_accuracy": recall.mean(),
            "precision": precision[chosen].mean(),
            "sensitivity": recall[chosen].mean(),
            "specificity": specificity[chosen].mean(),
            "f1": f1[chosen].mean(),
            "mcc": _matthews(matrix),
            "roc_auc": np.mean([roc_auc(truth == c, probabilities[:, c], weights=weights) for c in chosen]),
            "pr_auc": np.mean([average_precision(truth == c, probabilities[:, c], weights=weights) for c in chosen]),
            "brier": brier_score(truth, probabilities, weights=weights),
            "ece": expected_calibration_error(truth, probabilities, weights=weights),
        }
    return {name: float(value) for name, value in results.items()}


def measured_metrics(
    truth: np.ndarray,
    probabilities: np.ndarray,
    groups: np.ndarray,
    *,
    threshold: float | np.ndarray = 0.5,
    of: str = "near-duplicate groups",
) -> dict[str, Measurement]:
    """Every metric as a `Measurement` with its percentile-bootstrap interval over groups (whole groups are drawn).

    Resamples in which a metric is not defined are left out of its interval.

    Args:
        truth, probabilities: see the module.
        groups: ``(n,)`` of each image.
        threshold: one for all, or ``(n,)``.
        of: what the groups are, for the words.
    """
    names, members = np.unique(groups, return_inverse=True)
    values = classification_metrics(truth, probabilities, threshold=threshold)
    if len(names) < 2:
        return {name: Measurement(value, len(truth), groups=len(names)) for name, value in values.items()}
    draws: dict[str, list] = {name: [] for name in METRICS}
    for row in resampled_groups(len(names)):
        weights = np.bincount(row, minlength=len(names))[members].astype(np.float64)
        for name, value in classification_metrics(truth, probabilities, threshold=threshold, weights=weights).items():
            draws[name].append(value)
    words = interval_words(len(names), of)
    return {
        name: Measurement(value, len(truth), *percentile_interval(np.array(draws[name])), len(names), words)
        for name, value in values.items()
    }


def predicted_classes(probabilities: np.ndarray, *, threshold: float | np.ndarray = 0.5) -> np.ndarray:
    """``(n,)`` int: with two classes 1 where its probability is at least ``threshold``, else the most probable
    class.
    """
    if probabilities.shape[1] == 2:
        return (probabilities[:, 1] >= threshold).astype(int)
    return probabilities.argmax(axis=1)


def confusion_matrix(
    truth: np.ndarray, predicted: np.ndarray, *, classes: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """``(classes, classes)`` float64; rows are the truth, columns the prediction."""
    cells = np.asarray(truth, int) * classes + np.asarray(predicted, int)
    return np.bincount(cells, weights=weights, minlength=classes**2).astype(np.float64).reshape(classes, classes)


def roc_auc(positive: np.ndarray, scores: np.ndarray, *, weights: np.ndarray | None = None) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half."""
    caught, alarms = _cumulative(positive, scores, weights)
    if not (caught[-1] and alarms[-1]):
        return float("nan")
    return float(np.sum(np.diff(alarms) * (caught[1:] + caught[:-1]) / 2) / (caught[-1] * alarms[-1]))


def average_precision(positive: np.ndarray, scores: np.ndarray, *, weights: np.ndarray | None = None) -> float:
    """Area under the precision-recall curve as sum of (R_k - R_{k-1}) P_k, without interpolation."""
    caught, alarms = _cumulative(positive, scores, weights)
    if not caught[-1]:
        return float("nan")
    called = caught + alarms
    precision = np.divide(caught, called, out=np.zeros_like(caught), where=called > 0)
    return float(np.sum(np.diff(caught) * precision[1:]) / caught[-1])


def best_threshold(truth: np.ndarray, probabilities: Sequence[float]) -> float:
    """A threshold on the positive class' probability with a high balanced accuracy (Youden's J), for other images.

    Halfway between two neighbouring probabilities. Of thresholds whose J is within one standard error of the highest
    (the rule of Breiman et al. 1984) the one nearest to .5: on a few dozen images the highest itself is half chance.
    Shares enter the error with one image more right and one more wrong, so that none has the error 0.
    """
    scores = np.asarray(probabilities, np.float64)
    values = np.unique(scores)
    candidates = np.concatenate([[0.5], (values[1:] + values[:-1]) / 2])
    positive = np.asarray(truth) == 1
    if positive.all() or not positive.any():
        return 0.5
    called = scores[None] >= candidates[:, None]
    sides = [called[:, side] for side in (positive, ~positive)]
    youden = sides[0].mean(axis=1) - sides[1].mean(axis=1)
    highest = int(np.argmax(youden))
    shares = [((side[highest].sum() + 1) / (side.shape[1] + 2), side.shape[1]) for side in sides]
    error = np.sqrt(sum(share * (1 - share) / count for share, count in shares))
    good = candidates[youden >= youden[highest] - error]
    return float(good[np.argmin(np.abs(good - 0.5))])


def _cumulative(positive, scores, weights):
    """Weighted true and false positives as the threshold falls, one point a distinct score, from (0, 0)."""
    scores = np.asarray(scores, np.float64)
    weights = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hit = np.asarray(positive, bool)[order]
    caught = np.cumsum(np.where(hit, weights[order], 0))[last]
    alarms = np.cumsum(np.where(hit, 0, weights[order]))[last]
    return np.concatenate([[0], caught]), np.concatenate([[0], alarms])


def _matthews(matrix: np.ndarray) -> float:
    total, actual, called = matrix.sum(), matrix.sum(axis=1), matrix.sum(axis=0)
    covariance = np.trace(matrix) * total - actual @ called
    spread = (total**2 - called @ called) * (total**2 - actual @ actual)
    return covariance / np.sqrt(spread) if spread > 0 else 0.0
