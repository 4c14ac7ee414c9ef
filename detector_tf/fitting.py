"""The part of a training that is the same for every task: steps, checkpoints, the best model, early stopping."""

import os
from pathlib import Path
from typing import Callable, Mapping

import tensorflow as tf

from common_tf.runs.checkpoints import Checkpoints
from common_tf.runs.files import replace_json
from common_tf.runs.history import History
from common_tf.runs.loop import Schedule, train
from common_tf.runs.model_file import save_model
from detector_tf.batches import Batches
from detector_tf.config import DetectorConfig
from detector_tf.detector import Detector


def fit(
    path: Path,
    config: DetectorConfig,
    detector: Detector,
    batches: Batches,
    *,
    total_steps: int,
    judge: Callable[[], Mapping[str, float]],
    record: Mapping,
) -> bool:
    """Trains from where the folder's checkpoint stands, validating after every epoch.

    Args:
        path: the fold's folder.
        config: of the run.
        detector: what learns.
        batches: the training set.
        total_steps: length of the training if nothing stops it early.
        judge: validation figures; the lowest ``score`` chooses the model that is saved.
        record: what to write beside the best model.

    Returns:
        True when the training has ended, False when the user stopped it.
    """
    for name in ("checkpoints", "weights", "tensorboard"):
        (path / name).mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(path, keep=config.keep_checkpoints, trainables={"detector": detector})
    restored = checkpoints.restore()
    start = int(checkpoints.step)
    print(
        f"{config.backbone}: {detector.network.count_params():,} parameters, {record['origin']}; "
        + (f"continuing after step {start}" if restored else "starting afresh; Ctrl-C saves and stops"),
        flush=True,
    )
    history = History(path, every=config.log_every, step=start)

    def validate(step: int) -> Mapping[str, float]:
        figures = judge()
        if figures["score"] < float(checkpoints.best):
            checkpoints.best.assign(figures["score"])
            detector.best_step.assign(step)
            save_model(path, detector.inference)
            replace_json(
                path / "weights" / "best.json", {"step": step, **figures, **record, "tensorflow": tf.__version__}
            )
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
