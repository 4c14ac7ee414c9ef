"""Lesion segmentation: slices beside their masks, split by patient, judged by Dice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np
from scipy.special import expit
from sklearn.model_selection import GroupKFold

from common_tf.errors import UserError
from common_tf.images.geometry import take, whole_frame
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.images.reading import BadImage, read_colour
from common_tf.metrics.bootstrap import bootstrap_mean
from common_tf.metrics.segmentation import dice
from common_tf.runs.config import save_config
from common_tf.runs.files import replace_json
from common_tf.runs.folder import CONFIG_FILE, RunFolder
from common_tf.runs.model_file import load_model
from common_tf.splits.manifest import ManifestRow, write_manifest
from detector_tf.batches import Batches, with_channels
from detector_tf.config import DetectorConfig
from detector_tf.detector import Detector, batched_logits
from detector_tf.figures import save_contours
from detector_tf.fitting import fit
from detector_tf.folds import fold_folder

_MASK_SUFFIX = "_mask"
_EXTENSIONS = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
_FLAIR = 1
FIGURE = "1 - mean Dice of the validation patients (all slices of a patient together); lower is better"
EMPTY_POLICY = "a slice without lesion in truth and prediction counts as 1; without lesion in the truth alone as 0"


@dataclass(frozen=True)
class Slices:
    """Slices with masks.

    Attributes:
        names: of each slice.
        patients: ``(n,)`` names.
        images: ``(n, size, size, channels)`` uint8.
        masks: ``(n, size, size)`` bool.
    """

    names: Sequence[str]
    patients: np.ndarray
    images: np.ndarray
    masks: np.ndarray


def train_segmenter(folder: RunFolder, config: DetectorConfig) -> bool:
    """Trains and judges a segmentation run; see `detector_tf.training.train_detector`."""
    slices = _phantom_slices(config) if config.data == "phantom" else _folder_slices(config)
    splits = _patient_splits(slices.patients, config)
    positive = slices.masks.any(axis=(1, 2))
    patients = len(set(slices.patients.tolist()))
    print(f"data: {config.data}, {len(slices.names)} slices of {patients} patients, {positive.sum()} with a lesion")
    folder.begin()
    for number, split in enumerate(splits):
        path = fold_folder(folder.path, config, number)
        if config.folds:
            print(f"fold {number + 1} of {config.folds}", flush=True)
            path.mkdir(exist_ok=True)
            save_config(path / CONFIG_FILE, config)
        _write_split(path, slices, split)
        if not _train_fold(path, config, slices, split):
            print(f"stopped and saved; the same command continues ({folder.path})", flush=True)
            return False
    _judge_run(folder.path, config, slices, splits)
    return True


def patient_dice(predicted: np.ndarray, truth: np.ndarray, patients: np.ndarray) -> dict:
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


def _train_fold(path: Path, config: DetectorConfig, slices: Slices, split: Mapping) -> bool:
    chosen = np.flatnonzero(split["train"])
    positive = slices.masks[chosen].any(axis=(1, 2))
    if not positive.any():
        raise UserError(f"{path}: no lesion in any training slice; there is nothing to learn")
    # Slices with a lesion are seen as often as those without.
    repeats = max(1, round((~positive).sum() / positive.sum()))
    chosen = np.concatenate([chosen[~positive], np.repeat(chosen[positive], repeats)])
    batches = Batches(
        images=slices.images,
        chosen=chosen,
        masks=slices.masks,
        channels=config.channels,
        batch_size=min(config.batch_size, len(chosen)),
        seed=config.seed,
    )
    held_out = slices.images[split["validation"]]

    def judge(detector: Detector) -> Mapping[str, float]:
        predicted = detector.logits(held_out, batch_size=8)[..., 0] > 0
        truth = slices.masks[split["validation"]]
        values = patient_dice(predicted, truth, slices.patients[split["validation"]]).values()
        return {"score": 1 - float(np.mean(list(values))), "dice": float(np.mean(list(values)))}

    return fit(path, config, batches, classes=2, class_weights=(1, 1), judge=judge, figure=FIGURE)


def _judge_run(run: Path, config: DetectorConfig, slices: Slices, splits: Sequence[Mapping]) -> None:
    """Every patient's Dice by a model that never saw them, and the figures."""
    predicted, floor = np.zeros_like(slices.masks), np.zeros_like(slices.masks)
    tested = np.zeros(len(slices.names), bool)
    gray = slices.images[..., _FLAIR if slices.images.shape[-1] == 3 else 0]
    for number, split in enumerate(splits):
        model = load_model(fold_folder(run, config, number))
        test = split["test"]
        logits = batched_logits(lambda batch, m=model: m(batch, training=False), slices.images[test], batch_size=8)
        predicted[test] = expit(logits[..., 0]) > 0.5
        level = best_intensity_threshold(gray[split["train"]], slices.masks[split["train"]])
        floor[test] = gray[test] >= level
        tested |= test
    truth, patients = slices.masks[tested], slices.patients[tested]
    predicted, floor, gray = predicted[tested], floor[tested], gray[tested]
    per_patient = patient_dice(predicted, truth, patients)
    with_lesion = truth.any(axis=(1, 2))
    metrics = {
        "dice": _interval(per_patient.values()),
        "per_patient": per_patient,
        "floor_intensity_threshold": _interval(patient_dice(floor, truth, patients).values()),
        "floor_nothing_found": _interval(patient_dice(np.zeros_like(truth), truth, patients).values()),
        "dice_mean_over_slices_with_lesion": float(
            np.mean([dice(p, t) for p, t in zip(predicted[with_lesion], truth[with_lesion])])
        ),
        "dice_mean_over_all_slices": float(np.mean([dice(p, t) for p, t in zip(predicted, truth)])),
        "empty_slices": EMPTY_POLICY,
        "interval": "95 % percentile bootstrap over patients",
        "slices": int(tested.sum()),
        "slices_with_lesion": int(with_lesion.sum()),
    }
    replace_json(run / "metrics.json", metrics)
    shown = np.flatnonzero(with_lesion)
    shown = shown[np.linspace(0, len(shown) - 1, min(12, len(shown))).astype(int)] if len(shown) else shown
    names = np.array(slices.names)[tested]
    titles = [f"{names[i]}, Dice {dice(predicted[i], truth[i]):.2f}" for i in shown]
    save_contours(run / "segmentation.png", gray[shown], truth[shown], predicted[shown], titles=titles)
    entry = metrics["dice"]
    print(f"Dice, {entry['n']} patients that the model never saw, all slices of a patient together:")
    for title, name in (
        ("U-Net", "dice"),
        ("floor: intensity threshold", "floor_intensity_threshold"),
        ("floor: nothing found", "floor_nothing_found"),
    ):
        row = metrics[name]
        print(f"  {title:28}{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]")
    if len(per_patient) <= 20:
        print("  " + ", ".join(f"{name} {value:.3f}" for name, value in per_patient.items()))
    print(
        f"  mean over the {with_lesion.sum()} slices with a lesion {metrics['dice_mean_over_slices_with_lesion']:.3f}; "
        f"over all {tested.sum()} slices {metrics['dice_mean_over_all_slices']:.3f} ({EMPTY_POLICY})"
    )


def _interval(values) -> dict:
    values = np.array(list(values))
    mean, low, high = bootstrap_mean(values)
    return {"value": mean, "low": low, "high": high, "n": len(values)}


def _patient_splits(patients: np.ndarray, config: DetectorConfig) -> list:
    names = np.array(list(dict.fromkeys(patients.tolist())))
    folds = config.folds or max(2, round(1 / config.test_share))
    if len(names) < max(3, folds):
        raise UserError(
            f"{len(names)} patients (folders); segmentation wants 3 or more, and as many as there are folds ({folds})"
        )
    shuffled = np.random.default_rng(config.seed).permutation(names)
    splits = []
    for rest, test in GroupKFold(folds).split(shuffled, groups=shuffled):
        others = np.random.default_rng([config.seed, len(splits)]).permutation(shuffled[rest])
        count = max(1, round(config.validation_share * len(others)))
        parts = {"train": others[count:], "validation": others[:count], "test": shuffled[test]}
        splits.append({name: np.isin(patients, members) for name, members in parts.items()})
    return splits if config.folds else splits[:1]


def _folder_slices(config: DetectorConfig) -> Slices:
    """Images beside ``NAME_mask`` files, one folder a patient."""
    data = Path(config.data)
    if not data.is_dir():
        raise UserError(f"--data {data}: no such folder; give one with a folder of slices and masks for each patient")
    masks = sorted(p for p in data.glob("*/*") if p.suffix.lower() in _EXTENSIONS and p.stem.endswith(_MASK_SUFFIX))
    if not masks:
        raise UserError(f"--data {data}: no */*{_MASK_SUFFIX}.tif (or .png) beside slices, one folder a patient")
    images, truths, names, patients = [], [], [], []
    for mask in masks:
        image = mask.with_name(mask.name.replace(_MASK_SUFFIX, ""))
        try:
            colour, truth = read_colour(image), read_colour(mask).max(axis=-1) > 127
        except (OSError, BadImage) as error:
            raise UserError(f"{image}: it or its mask cannot be used ({error}); mend or remove both") from error
        if colour.shape[:2] != truth.shape:
            raise UserError(f"{mask}: {truth.shape}, its image is {colour.shape[:2]}; mend or remove both")
        frame = whole_frame(*truth.shape)
        planes = [colour[..., _FLAIR]] if config.channels == 1 else list(np.moveaxis(colour, -1, 0))
        images.append(np.stack([quantise(take(plane / 255.0, frame, config.side, fill=0.0)) for plane in planes], -1))
        truths.append(take(truth.astype(np.float32), frame, config.side, fill=0.0) > 0.5)
        names.append(image.relative_to(data).as_posix())
        patients.append(mask.parent.name)
    return Slices(names, np.array(patients), np.stack(images), np.stack(truths))


def _phantom_slices(config: DetectorConfig) -> Slices:
    """Drawn heads, each a patient of its own."""
    first = config.seed * 1_000_000 + 600_000
    heads = [draw_phantom(seed, size=config.side) for seed in range(first, first + config.phantoms)]
    gray = np.stack([quantise(head.ct if config.modality == "CT" else head.mri) for head in heads])
    names = [f"phantom/{seed}" for seed in range(first, first + config.phantoms)]
    return Slices(names, np.array(names), with_channels(gray, config.channels), np.stack([h.lesion for h in heads]))


def _write_split(path: Path, slices: Slices, split: Mapping) -> None:
    sides = np.full(len(slices.names), "", dtype=object)
    for name, chosen in split.items():
        sides[chosen] = name
    rows = [
        ManifestRow(name, "slice with mask", "", "", patient, "", side)
        for name, patient, side in zip(slices.names, slices.patients.tolist(), sides.tolist())
    ]
    write_manifest(path / "manifest.csv", rows)
