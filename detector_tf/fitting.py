"""The part of a training that is the same for every task: steps, checkpoints, the best model, early stopping."""

import os
from pathlib import Path
from typing import Callable, Mapping, Sequence

import tensorflow as tf

from common_tf.runs.checkpoints import Checkpoints
from common_tf.runs.files import replace_json
from common_tf.runs.history import History
from common_tf.runs.loop import Schedule, train
from common_tf.runs.model_file import save_model
from detector_tf.backbones import chosen_policy
from detector_tf.batches import Batches
from detector_tf.config import DetectorConfig
from detector_tf.detector import Detector
from detector_tf.weights import build_started


def fit(
    path: Path,
    config: DetectorConfig,
    batches: Batches,
    *,
    classes: int,
    class_weights: Sequence[float],
    judge: Callable[[Detector], Mapping[str, float]],
    figure: str,
) -> bool:
    """Trains a detector from where the folder's checkpoint stands, validating after every epoch.

    Args:
        path: the fold's folder.
        config: of the run.
        batches: the training set.
        classes, class_weights: of the detector.
        judge: validation figures of a detector; the lowest ``score`` chooses the model that is saved.
        figure: what that score is, in words.

    Returns:
        True when the training has ended, False when the user stopped it.

    Raises:
        UserError: weights to start from that cannot be had or do not fit.
    """
    total_steps = config.steps or config.epochs * batches.steps_per_epoch
    policy = chosen_policy(config)
    network, origin = build_started(config, classes=classes, policy=policy)
    detector = Detector(
        config,
        network,
        classes=classes,
        class_weights=class_weights,
        policy=policy,
        head_steps=min(config.head_epochs * batches.steps_per_epoch, total_steps),
        total_steps=total_steps,
    )
    for name in ("checkpoints", "weights", "tensorboard"):
        (path / name).mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(path, keep=config.keep_checkpoints, trainables={"detector": detector})
    restored = checkpoints.restore()
    start = int(checkpoints.step)
    print(
        f"{config.backbone}: {detector.network.count_params():,} parameters, {origin}; "
        + (f"continuing after step {start}" if restored else "starting afresh; Ctrl-C saves and stops"),
        flush=True,
    )
    history = History(path, every=config.log_every, step=start)

    def validate(step: int) -> Mapping[str, float]:
        figures = judge(detector)
        if figures["score"] < float(checkpoints.best):
            checkpoints.best.assign(figures["score"])
            detector.best_step.assign(step)
            save_model(path, detector.inference)
            record = {"figure": figure, "origin": origin, "policy": policy, "tensorflow": tf.__version__}
            replace_json(path / "weights" / "best.json", {"step": step, **figures, **record})
        return figures

    def finished(step: int) -> bool:
        waited = step - int(detector.best_step)
        return bool(config.patience) and waited >= config.patience * batches.steps_per_epoch

    def saved(step: int, checkpoint: str) -> None:
        status = {
            "state": "complete" if step == total_steps or finished(step) else "unfinished",
            "step": step,
            "total_steps": total_steps,
            "best_step": int(detector.best_step),
            "seconds": round(float(checkpoints.seconds), 1),
            "checkpoint": os.path.relpath(checkpoint, path),
        }
        replace_json(path / "status.json", status)

    schedule = Schedule(
        total_steps=total_steps,
        steps_per_epoch=batches.steps_per_epoch,
        save_every_epochs=config.save_every,
        save_every_steps=config.save_every_steps,
        validate_every_steps=0,
    )
    try:
        return train(
            train_step=detector.train_step,
            batches=batches.from_step(start),
            schedule=schedule,
            checkpoints=checkpoints,
            history=history,
            validate=validate,
            saved=saved,
            finished=finished,
        )
    finally:
        history.close()
