"""What a classifier predicted on images it never saw, how good that is, and where its worst mistakes come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common_tf.files import replace_json
from common_tf.metrics.calibration import fit_temperature, to_probabilities
from common_tf.metrics.classification import METRICS, best_threshold
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.batches import Squares
from detector_tf.figures import save_figures
from detector_tf.gradcam import grad_cam, save_overlays
from detector_tf.inference import Record, two_sided, write_record
from detector_tf.predictions import (
    CLEAN,
    METRICS_FILE,
    PREDICTIONS_FILE,
    Predictions,
    as_record,
    judge,
    metrics_lines,
    verdict,
)
from detector_tf.preprocessing import DetectorInput
from detector_tf.splits import TEST, VALIDATION, unleaked
from detector_tf.tasks.task import TaskData
from detector_tf.trainable import as_function, batched_logits

_SHOWN = 12


@dataclass(frozen=True)
class Judged:
    """A fold that has been judged.

    Attributes:
        predictions: of its validation and test images.
        figures: `detector_tf.predictions.judge` of the test images, and more.
    """

    predictions: Predictions
    figures: Mapping[str, Any]

    @property
    def test(self) -> Predictions:
        """Those of the test images."""
        return self.predictions.select(split=TEST)


def conclude_fold(
    path: Path, data: TaskData, split: np.ndarray, number: int, source: DetectorInput, images: Squares
) -> Judged:
    """The best network's predictions on validation and test, its calibration and threshold, and its figures.

    Temperature and threshold are chosen on the validation images alone.

    Args:
        path: of the fold's folder.
        data, split, number: of the fold.
        source: from pictures to squares.
        images: all of the run.
    """
    model, spec = load_detector_network(path)
    infer = as_function(model)
    chosen = {side: np.flatnonzero(split == side) for side in (TEST, VALIDATION)}
    logits = {
        side: two_sided(batched_logits(infer, images.only(indices), side=spec.side)) for side, indices in chosen.items()
    }
    truth = data.labels[chosen[VALIDATION]]
    temperature = fit_temperature(logits[VALIDATION], truth)
    probabilities = {side: to_probabilities(logits[side], temperature=temperature) for side in chosen}
    threshold = best_threshold(truth, probabilities[VALIDATION][:, 1].tolist()) if len(data.names) == 2 else 0.5
    rows = [
        {**_who(data, index), "fold": str(number), "split": side, **verdict(data.names, chances, threshold)}
        for side, indices in chosen.items()
        for index, chances in zip(indices.tolist(), probabilities[side])
    ]
    predictions = Predictions(data.names, rows)
    predictions.write(path / PREDICTIONS_FILE)
    test = predictions.select(split=TEST)
    figures = {**judge(test), "temperature": temperature, "threshold": threshold}
    clean = unleaked(split, data.dataset.groups)[chosen[TEST]]
    if clean.any() and not clean.all():
        figures[CLEAN] = judge(Predictions(data.names, [row for row, keep in zip(test.rows, clean) if keep]))
    replace_json(path / METRICS_FILE, as_record(figures))
    save_figures(path / "figures", test)
    write_record(path, Record(data.names, source, temperature, threshold))
    _explain_worst(path, model, test, images.only(chosen[TEST]))
    return Judged(predictions, figures)


def judge_run(run: Path, folds: Sequence[Judged]) -> None:
    """Pools the folds of a cross-validation, and prints the table of the run.

    Args:
        run: its folder.
        folds: all of them; of a hold-out, whose files are written, the one.
    """
    figures = folds[0].figures
    if len(folds) > 1:
        pooled = Predictions(folds[0].predictions.classes, [row for fold in folds for row in fold.predictions.rows])
        pooled.write(run / PREDICTIONS_FILE)
        test = pooled.select(split=TEST)
        singles = [{**{name: fold.figures[name].value for name in METRICS}, "n": fold.figures["n"]} for fold in folds]
        spread = {name: _spread([single[name] for single in singles]) for name in METRICS}
        figures = {**judge(test), "folds": singles, "mean_over_folds": spread}
        replace_json(run / METRICS_FILE, as_record(figures))
        save_figures(run / "figures", test)
    print("\n".join(metrics_lines(figures)), flush=True)


def _who(data: TaskData, index: int) -> dict[str, str]:
    """The columns of a row that say which image it is."""
    dataset = data.dataset
    return {
        "path": dataset.cases[index].name,
        "sha256": dataset.scans[index][0].sha256 if dataset.scans[index] else "",
        "label": data.names[data.labels[index]],
        "group": f"{dataset.groups[index]:05d}",
        "groups_are": dataset.group_word,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    """Mean and standard deviation of a metric over the folds in which it is defined; nan for what is not."""
    defined = [value for value in values if np.isfinite(value)]
    return {
        "mean": float(np.mean(defined)) if defined else float("nan"),
        "standard_deviation": float(np.std(defined, ddof=1)) if len(defined) > 1 else float("nan"),
    }


def _explain_worst(run: Path, model: tf.keras.Model, test: Predictions, images: Squares) -> None:
    """Saves gradcam.png: the test images whose own class got the lowest probability, with the map of that class'
    rival.
    """
    truth, probabilities = test.truth, test.probabilities
    worst = np.argsort(probabilities[np.arange(len(truth)), truth], kind="stable")[:_SHOWN]
    others = probabilities[worst].copy()
    others[np.arange(len(worst)), truth[worst]] = -1
    rivals = others.argmax(axis=1).tolist()
    squares = images[worst]
    heat = [grad_cam(model, squares[i : i + 1], target=rival)[0] for i, rival in enumerate(rivals)]
    titles = [
        f"{test.classes[truth[i]]}; p({test.classes[rival]}) = {probabilities[i, rival]:.2f}\n"
        f"{Path(test.rows[i]['path']).name}"
        for i, rival in zip(worst.tolist(), rivals)
    ]
    save_overlays(run / "gradcam.png", squares[..., 0], np.stack(heat), titles=titles)
