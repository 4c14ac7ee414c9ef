"""Every patient's Dice by a network that never saw them, beside two floors."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common_tf.files import replace_json
from common_tf.measurement.measurement import Measurement, measure
from common_tf.metrics.segmentation import dice
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.figures import save_contours
from detector_tf.predictions import METRICS_FILE, as_record
from detector_tf.splits import TEST, TRAIN
from detector_tf.tasks.segment.data import Slices, patients_of, with_a_lesion
from detector_tf.tasks.task import TaskData
from detector_tf.trainable import as_function, batched_logits

EMPTY_POLICY = "a slice without lesion in truth and prediction counts as 1; without lesion in the truth alone as 0"
FIGURE_FILE = "segmentation.png"
_SHOWN, _NAMED = 12, 20


@dataclass(frozen=True)
class Segmented:
    """The test slices of a fold.

    Attributes:
        chosen: ``(k,)`` which slices of the run these are.
        gray: ``(k, size, size)`` uint8.
        truth, predicted, floor: ``(k, size, size)`` bool: the lesions, those that the network finds, and all that is
            brighter than the best single gray level.
    """

    chosen: np.ndarray
    gray: np.ndarray
    truth: np.ndarray
    predicted: np.ndarray
    floor: np.ndarray


def segment_test(path: Path, slices: Slices, split: np.ndarray) -> Segmented:
    """Runs the saved network of a fold's folder on its test slices."""
    model, spec = load_detector_network(path)
    infer = as_function(model)
    chosen, training = np.flatnonzero(split == TEST), np.flatnonzero(split == TRAIN)
    logits = batched_logits(infer, slices.images.only(chosen), side=spec.side)
    gray = slices.gray(chosen)
    level = best_intensity_threshold(slices.gray(training), slices.lesions[training])
    return Segmented(chosen, gray, slices.lesions[chosen], logits[..., 0] > 0, gray >= level)


def judge_run(run: Path, data: TaskData, folds: Sequence[Segmented]) -> None:
    """Writes metrics.json and segmentation.png, and prints the table."""
    chosen = np.concatenate([fold.chosen for fold in folds])
    order = np.argsort(chosen)
    names = ("gray", "truth", "predicted", "floor")
    gray, truth, predicted, floor = (np.concatenate([getattr(fold, name) for fold in folds])[order] for name in names)
    patients, groups = patients_of(data)[chosen[order]], data.dataset.groups[chosen[order]]
    of = data.dataset.group_word
    each = np.array([dice(found, right) for found, right in zip(predicted, truth)])
    with_lesion = with_a_lesion(truth)
    per_patient = patient_dice(predicted, truth, patients)

    def over_patients(found: np.ndarray) -> Measurement:
        values = patient_dice(found, truth, patients)
        members = np.array([groups[patients == name][0] for name in values])
        return measure(np.array(list(values.values())), members, of=of)

    metrics: dict[str, Any] = {
        "dice": over_patients(predicted),
        "per_patient": per_patient,
        "floor_intensity_threshold": over_patients(floor),
        "floor_nothing_found": over_patients(np.zeros_like(truth)),
        "dice_mean_over_slices_with_lesion": measure(each[with_lesion], groups[with_lesion], of=of),
        "dice_mean_over_all_slices": measure(each, groups, of=of),
        "empty_slices": EMPTY_POLICY,
        "slices": len(chosen),
        "slices_with_lesion": int(with_lesion.sum()),
    }
    replace_json(run / METRICS_FILE, as_record(metrics))
    shown = np.flatnonzero(with_lesion)
    shown = shown[np.linspace(0, len(shown) - 1, min(_SHOWN, len(shown))).astype(int)]
    titles = [f"{data.dataset.cases[chosen[order][i]].name}, Dice {each[i]:.2f}" for i in shown]
    save_contours(run / FIGURE_FILE, gray[shown], predicted[shown], titles=titles, truth=truth[shown])
    print("\n".join(_lines(metrics)), flush=True)


def patient_dice(predicted: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> dict[str, float]:
    """Dice over all pixels of all slices of each patient, by name."""
    return {
        name: dice(predicted[patients == name], truth[patients == name])
        for name in dict.fromkeys(np.asarray(patients).tolist())
    }


def best_intensity_threshold(images: np.ndarray, masks: np.ndarray) -> int:
    """The floor's one parameter: the gray level above which "everything is lesion" has the highest Dice on training."""
    inside = np.bincount(images[masks], minlength=256)[::-1].cumsum()[::-1]
    above = np.bincount(images.ravel(), minlength=256)[::-1].cumsum()[::-1]
    return int(np.argmax(2 * inside / np.maximum(1, above + masks.sum())))


def _lines(metrics: dict[str, Any]) -> list[str]:
    per_patient, mean = metrics["per_patient"], metrics["dice_mean_over_slices_with_lesion"]
    lines = [f"Dice, {metrics['dice'].n} patients that the model never saw, all slices of a patient together:"]
    for title, name in (
        ("U-Net", "dice"),
        ("floor: intensity threshold", "floor_intensity_threshold"),
        ("floor: nothing found", "floor_nothing_found"),
    ):
        lines.append(f"  {title:28}{metrics[name].text()}")
    if len(per_patient) <= _NAMED:
        lines.append("  " + ", ".join(f"{name} {value:.3f}" for name, value in per_patient.items()))
    lines.append(
        f"  mean over the {mean.n} slices with a lesion {mean.text()}; over all {metrics['slices']} slices "
        f"{metrics['dice_mean_over_all_slices'].text()} ({EMPTY_POLICY})"
    )
    return lines
