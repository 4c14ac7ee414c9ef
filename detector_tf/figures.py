"""ROC, precision-recall, reliability and confusion figures as PNG."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from common_tf.metrics.calibration import reliability_bins
from common_tf.metrics.classification import average_precision, confusion_matrix, predicted_classes, roc_auc
from detector_tf.drawing import literal, plt, save_figure, titled_grid
from detector_tf.predictions import Predictions


def save_figures(folder: Path, predictions: Predictions) -> None:
    """Saves roc.png, precision_recall.png, calibration.png and confusion.png.

    Args:
        folder: made if it is not there.
        predictions: of test images.
    """
    folder.mkdir(parents=True, exist_ok=True)
    truth, probabilities = predictions.truth, predictions.probabilities
    classes = [literal(name) for name in predictions.classes]
    shown = [1] if len(classes) == 2 else range(len(classes))
    shown = [number for number in shown if 0 < np.sum(truth == number) < len(truth)]
    note = f"n = {len(truth)}"
    with plt.rc_context({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = _square("1 - specificity", "sensitivity", f"ROC, {note}")
        for number in shown:
            scores = probabilities[:, number]
            x, y, _ = roc_curve(truth == number, scores)
            axes.plot(x, y, label=f"{classes[number]}, area {roc_auc(truth == number, scores):.3f}")
        axes.plot([0, 1], [0, 1], ":", color="gray", label="guessing")
        _save(figure, axes, folder / "roc.png")

        figure, axes = _square("sensitivity (recall)", "precision", f"Precision and recall, {note}")
        for number in shown:
            scores = probabilities[:, number]
            y, x, _ = precision_recall_curve(truth == number, scores)
            area = average_precision(truth == number, scores)
            (line,) = axes.plot(x, y, drawstyle="steps-pre", label=f"{classes[number]}, average precision {area:.3f}")
            axes.axhline(np.mean(truth == number), ls=":", color=line.get_color())
        axes.plot([], [], ":", color="gray", label="guessing")
        _save(figure, axes, folder / "precision_recall.png")

        stated, observed, counts = reliability_bins(truth, probabilities)
        figure, axes = _square("stated probability", "observed frequency", f"Calibration, {note}")
        axes.plot([0, 1], [0, 1], ":", color="gray", label="perfect")
        axes.plot(stated, observed, "o-", label="detector; numbers: images in the bin")
        for x, y, count in zip(stated, observed, counts):
            axes.annotate(str(count), (x, y), textcoords="offset points", xytext=(6, -12), fontsize=9)
        _save(figure, axes, folder / "calibration.png")

        predicted = predicted_classes(probabilities, threshold=predictions.thresholds)
        matrix = confusion_matrix(truth, predicted, classes=len(classes)).astype(int)
        figure, axes = _square("predicted", "truth", f"Confusion, {note}")
        share = matrix / np.maximum(1, matrix.sum(axis=1, keepdims=True))
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(matrix.shape):
            colour = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", color=colour)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(range(len(classes)), classes)
        axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))
        axes.tick_params(axis="x", rotation=0 if len(classes) < 4 else 20)
        _save(figure, axes, folder / "confusion.png", legend=False)


def save_contours(
    path: Path,
    images: Sequence[np.ndarray] | np.ndarray,
    predicted: Sequence[np.ndarray] | np.ndarray,
    *,
    titles: Sequence[str],
    truth: np.ndarray | None = None,
) -> None:
    """Saves slices with the outlines of the predicted mask (red) and, where it is known, of the true one (green).

    Args:
        path: the PNG.
        images: of each ``(height, width)`` uint8.
        predicted: of each ``(height, width)`` bool.
        titles: one a slice.
        truth: as ``predicted``.
    """
    figure, axes = titled_grid(titles, columns=4, panels=1, size=(3, 3.4))
    right = [None] * len(titles) if truth is None else truth
    for (axis,), image, true, found in zip(axes, images, right, predicted):
        axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        for mask, colour in ((true, "lime"), (found, "red")):
            if mask is not None and mask.any():
                axis.contour(mask, levels=[0.5], colors=colour, linewidths=1)
    known = "" if truth is None else "green: truth, "
    figure.suptitle(f"{known}red: prediction. Research only, not for diagnosis", fontsize=10)
    save_figure(figure, path)


def _square(xlabel: str, ylabel: str, title: str) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(5.2, 5.2), dpi=110, layout="constrained")
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure, axes


def _save(figure: Figure, axes: Axes, path: Path, *, legend: bool = True) -> None:
    if legend:
        axes.legend(loc="lower right", fontsize=9, framealpha=0.9)
    save_figure(figure, path)
