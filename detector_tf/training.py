"""Training a detector from a config, or going on with it: one hold-out split, or a cross-validation."""

from pathlib import Path
from typing import Mapping

import numpy as np
import tensorflow as tf

from common_tf.metrics.calibration import to_probabilities
from common_tf.metrics.classification import roc_auc
from common_tf.runs.config import BUDGET, save_config
from common_tf.runs.files import replace_json
from common_tf.runs.folder import CONFIG_FILE, RunFolder
from common_tf.runs.model_file import load_model
from common_tf.splits.audit import audit_lines, audit_record
from common_tf.splits.labelled import with_splits
from common_tf.splits.manifest import write_manifest
from detector_tf.batches import Batches, with_channels
from detector_tf.config import DetectorConfig
from detector_tf.data import DetectorData, load_detector_data, split_counts
from detector_tf.detector import Detector, batched_logits
from detector_tf.fitting import fit
from detector_tf.folds import fold_folder, fold_name
from detector_tf.gradcam import explain_worst
from detector_tf.inference import two_sided, write_record
from detector_tf.predictions import judge_fold, judge_run
from detector_tf.preprocessing import DetectorInput
from detector_tf.segmentation import train_segmenter
from detector_tf.splits import make_splits, unleaked
from detector_tf.weights import build_started


def train_detector(config: DetectorConfig, *, run: Path, resume: str = "auto") -> bool:
    """Trains, or continues, the run in a folder.

    Args:
        config: what to train.
        run: the run folder; each fold of a cross-validation is a run of its own in ``fold-K``.
        resume: ``auto`` or ``never``; see `RunFolder`.

    Returns:
        True when everything is trained and judged, False when the user stopped it.

    Raises:
        UserError: anything about data, weights, folder or config that the user can mend.
    """
    with RunFolder(run, config, resume=resume, budget=BUDGET) as folder:
        if config.task == "segment":
            return train_segmenter(folder, config)
        data = load_detector_data(config)
        splits = make_splits(data.images, config)
        _say_data(config, data, splits)
        # Weights that cannot be had are found out before anything is written.
        build_started(config, classes=len(data.classes), policy="float32")
        folder.begin()
        _write_data(folder.path, config, data, splits)
        for number, split in enumerate(splits):
            path = fold_folder(folder.path, config, number)
            if config.folds:
                print(f"fold {number + 1} of {config.folds}", flush=True)
            if not _train_fold(path, config, data, split, number):
                print(f"stopped and saved; the same command continues ({folder.path})", flush=True)
                return False
        judge_run(folder.path, config, data, splits)
        return True


def _train_fold(path: Path, config: DetectorConfig, data: DetectorData, split: Mapping, number: int) -> bool:
    if config.folds:
        path.mkdir(exist_ok=True)
        save_config(path / CONFIG_FILE, config)
        write_manifest(path / "manifest.csv", with_splits(data.rows, split_names(split)))
    classes = len(data.classes)
    source = DetectorInput(
        preparation=data.preparation(config, split["train"]), size=config.side, median=config.median, clahe=config.clahe
    )
    images = data.cache(source, file=path / "cache" / "images.npy")
    batches = Batches(
        images=images,
        chosen=np.flatnonzero(split["train"]),
        labels=data.images.labels,
        channels=config.channels,
        batch_size=min(config.batch_size, int(split["train"].sum())),
        seed=config.seed,
    )
    held_out = with_channels(images[split["validation"]], config.channels)
    truth = data.images.labels[split["validation"]]

    def judge(detector: Detector) -> Mapping[str, float]:
        return validation_figures(truth, to_probabilities(two_sided(detector.logits(held_out))))

    weights = _class_weights(config, data.images.labels[split["train"]], classes)
    done = fit(path, config, batches, classes=classes, class_weights=weights, judge=judge, figure=FIGURE)
    if done:
        _conclude(path, config, data, split, source, images, number)
    return done


def _conclude(path, config, data, split, source, images, number) -> None:
    """The best model's predictions on validation and test, its calibration and threshold, and its figures."""
    model = load_model(path)
    infer = tf.function(lambda batch: model(batch, training=False), autograph=False, reduce_retracing=True)
    logits = {}
    for side in ("validation", "test"):
        logits[side] = two_sided(batched_logits(infer, with_channels(images[split[side]], config.channels)))
    calibration = judge_fold(path, config, data, split, logits, number)
    write_record(path, classes=data.classes, source=source, **calibration)
    explain_worst(path, model, config, data, split, images)


CROSS_ENTROPY_SHARE = 0.2
FIGURE = (
    f"1 - ROC-AUC (mean over the classes) + {CROSS_ENTROPY_SHARE:g} x cross-entropy on the validation images; lower is "
    "better. On thirty images the area alone is often lucky early in a training"
)


def validation_figures(truth: np.ndarray, probabilities: np.ndarray) -> dict:
    """What chooses the best checkpoint: `FIGURE` as ``score``, and its parts."""
    chosen = range(1, 2) if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [roc_auc(truth == number, probabilities[:, number]) for number in chosen]
    area = float(np.nanmean(areas)) if np.isfinite(areas).any() else 0.5
    loss = float(-np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-7)).mean())
    return {"score": 1 - area + CROSS_ENTROPY_SHARE * loss, "roc_auc": area, "cross_entropy": loss}


def _class_weights(config: DetectorConfig, labels: np.ndarray, classes: int) -> np.ndarray:
    """``n / (classes * n_c)``, or ones."""
    counts = np.bincount(labels, minlength=classes)
    return len(labels) / (classes * counts) if config.class_weights else np.ones(classes)


def split_names(split: Mapping[str, np.ndarray]) -> list:
    """The name of each image's split; ``unused`` where it has none."""
    names = np.full(len(split["train"]), "unused", dtype=object)
    for name, chosen in split.items():
        names[chosen] = name
    return names.tolist()


def _say_data(config: DetectorConfig, data: DetectorData, splits) -> None:
    print(
        f"data: {config.data}, {len(data.images.names)} images, {len(set(data.images.groups.tolist()))} distinct groups"
    )
    for name, counts in split_counts(data, splits[0]).items():
        label = f"  {name:12}" + ", ".join(f"{count} {split}" for split, count in counts.items())
        print(label + (f" (fold 1 of {config.folds})" if config.folds else ""))
    if config.data != "phantom":
        print("audit:")
        print("\n".join(audit_lines(data.findings)), flush=True)
    test = splits[0]["test"]
    if config.split == "as-given" and not config.folds and test.any():
        clean = unleaked(data.images, splits[0])
        print(f"test: {test.sum()} images as given, {clean.sum()} without a near-duplicate in training", flush=True)


def _write_data(path: Path, config: DetectorConfig, data: DetectorData, splits) -> None:
    names = [fold_name(i) for i in np.argmax([split["test"] for split in splits], axis=0)] if config.folds else None
    rows = with_splits(data.rows, names or split_names(splits[0]))
    write_manifest(path / "manifest.csv", [*rows, *data.skipped])
    record = {"counts": [split_counts(data, split) for split in splits], "findings": audit_record(data.findings)}
    replace_json(path / "audit.json", record)
