"""Training a translation system from a config, or going on with it."""

import os
import platform
from pathlib import Path
from typing import Mapping, Optional

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.images.preparation import save_preparations
from common_tf.precision import precision_policy
from common_tf.runs.checkpoints import Checkpoints, save_weights
from common_tf.runs.config import BUDGET
from common_tf.runs.files import replace_json
from common_tf.runs.folder import RunFolder
from common_tf.runs.history import History
from common_tf.runs.loop import Progress, Schedule, train
from common_tf.splits.audit import audit_lines, audit_record
from common_tf.splits.manifest import manifest_text, write_manifest
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import TrainingData, load_training_data
from cyclegan_tf.inference import PREPARATION_FILE
from cyclegan_tf.translators import build_translator, translator_class
from cyclegan_tf.translators.base import Translator
from cyclegan_tf.truth import score_phantom_run
from cyclegan_tf.validation import Validation


def train_translator(config: TranslatorConfig, *, run: Path, resume: str = "auto") -> bool:
    """Trains, or continues, the run in a folder.

    Args:
        config: what to train.
        run: the run folder.
        resume: ``auto`` or ``never``; see `RunFolder`.

    Returns:
        True when the training is complete, False when the user stopped it.

    Raises:
        UserError: anything about data, folder or config that the user can mend; nothing has been written then.
    """
    with RunFolder(run, config, resume=resume, budget=BUDGET) as folder:
        system = translator_class(config)
        system.check(config)
        data = load_training_data(config, paired=system.wants_pairs)
        _say_data(config, data)
        _refuse_other_data(folder, data)
        folder.begin()
        _write_data(folder.path, config, data)
        return _train_in(folder, config, data)


def _train_in(folder: RunFolder, config: TranslatorConfig, data: TrainingData) -> bool:
    pipeline = data.pipeline(config, folder.path)
    total = config.steps or config.epochs * pipeline.steps_per_epoch
    policy = precision_policy(config.precision)
    translator = build_translator(config, policy=policy, total_steps=total)
    checkpoints = Checkpoints(folder.path, keep=config.keep_checkpoints, trainables={"translator": translator})
    restored = checkpoints.restore()
    start = int(checkpoints.step)
    _say_start(config, policy, translator, pipeline.steps_per_epoch, total, restored, start)
    schedule = Schedule(
        total_steps=total,
        steps_per_epoch=pipeline.steps_per_epoch,
        save_every_epochs=config.save_every,
        save_every_steps=config.save_every_steps,
        validate_every_steps=config.validate_every_steps,
    )
    validation = Validation(translator, config, data)
    references = validation.references()
    words = ", ".join(f"{name} {value:.4g}" for name, value in references.items())
    print(f"validation distances to compare with: {words}", flush=True)
    history = History(folder.path, every=config.log_every, step=start)

    def record(step: int, **more) -> Mapping:
        return {"step": step, "figure": validation.figure, "tensorflow": tf.__version__, **more}

    def validate(step: int) -> Mapping[str, float]:
        figures = dict(validation.figures())
        validation.save_samples(folder.path / "samples" / f"step_{step:07d}.png", step)
        if figures["score"] < float(checkpoints.best):
            checkpoints.best.assign(figures["score"])
            save_weights(
                folder.path, "best", translator.inference_networks(), record(step, **figures, references=references)
            )
        batch = next(iter(pipeline.batches(step)))
        for name, value in translator.diagnostics(batch, tf.constant(step, tf.int64)).items():
            figures[name] = float(value)
        return figures

    def saved(step: int, path: str) -> None:
        save_weights(folder.path, "last", translator.inference_networks(), record(step))
        state = "complete" if step == total else "unfinished"
        folder.write_status(
            state=state,
            step=step,
            total_steps=total,
            epoch=schedule.epoch(step),
            seconds=round(float(checkpoints.seconds), 1),
            checkpoint=os.path.relpath(path, folder.path),
            best_score=round(float(checkpoints.best), 6),
        )

    try:
        done = train(
            train_step=translator.train_step,
            batches=pipeline.batches(start),
            schedule=schedule,
            checkpoints=checkpoints,
            history=history,
            validate=validate,
            saved=saved,
            epoch_ended=_notebook_lines if config.log_style == "notebook" else _no_lines,
        )
    finally:
        history.close()
    if done and config.data == "phantom":
        score_phantom_run(folder.path, config)
    if done:
        print(f"done: {total} steps in {float(checkpoints.seconds) / 60:.1f} min of training; {folder.path}")
    else:
        print(f"stopped after step {int(checkpoints.step)} and saved; the same command continues", flush=True)
    return done


def _refuse_other_data(folder: RunFolder, data: TrainingData) -> None:
    """A run goes on only with the files and splits it began with."""
    manifest = folder.path / "manifest.csv"
    if folder.resumed and manifest.exists() and manifest.read_text(encoding="utf-8") != manifest_text(data.rows):
        raise UserError(
            f"{manifest}: the data have changed since this run began; restore them, or choose another --run folder"
        )


def _write_data(path: Path, config: TranslatorConfig, data: TrainingData) -> None:
    write_manifest(path / "manifest.csv", data.rows)
    replace_json(
        path / "audit.json", {"split": config.split, "counts": data.counts, "findings": audit_record(data.findings)}
    )
    save_preparations(path / PREPARATION_FILE, {data.a.name: data.a.preparation, data.b.name: data.b.preparation})


def _say_data(config: TranslatorConfig, data: TrainingData) -> None:
    print(f"data: {config.data}, split {config.split}")
    for name, counts in data.counts.items():
        print(f"  {name:8}" + ", ".join(f"{count} {split}" for split, count in counts.items()))
    if config.data != "phantom":
        print("audit:")
        print("\n".join(audit_lines(data.findings)), flush=True)


def _say_start(
    config: TranslatorConfig,
    policy: str,
    translator: Translator,
    steps_per_epoch: int,
    total: int,
    restored: Optional[str],
    start: int,
) -> None:
    sizes = {network.name: network.count_params() for network in translator.inference_networks().values()}
    parameters = ", ".join(f"{name} {count:,} parameters" for name, count in sizes.items())
    print(f"model: {config.model}, preset {config.preset}, {config.image_size} px, {policy}; {parameters}")
    print(f"training: {total} steps, {steps_per_epoch} an epoch, on {os.cpu_count()} cores ({platform.machine()})")
    if restored:
        print(f"continuing after step {start} from {restored}")
    if start >= total:
        print(f"all {total} steps are done; a larger --steps or --epochs continues the run")
    elif not restored:
        print("starting afresh; Ctrl-C saves and stops", flush=True)


def _notebook_lines(
    epoch: int, seconds: float, means: Mapping[str, float], path: Optional[str], progress: Progress
) -> None:
    """The Kaggle notebook's log lines, word for word."""
    progress.say(f"Mean MSE Loss for Epoch {epoch}: {means['unpaired_mse']}")
    if path:
        progress.say(f"Saving checkpoint for epoch {epoch} at {path}")
    progress.say(f"Time taken for epoch {epoch} is {seconds} sec\n")


def _no_lines(*_) -> None:
    """The progress bar says enough."""
