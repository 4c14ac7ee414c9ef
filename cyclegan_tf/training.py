"""Training a translation system from a config, or going on with it."""

import os
from collections.abc import Mapping
from pathlib import Path

from common_tf.arithmetic import precision_policy
from common_tf.errors import UserError
from common_tf.files import read_json, replace_json
from common_tf.pictures.preparation import PREPARATION_FILE, save_preparations
from common_tf.progress import TrainingProgress
from common_tf.replicas import alone, first_goes_ahead, replicas
from common_tf.runs.environment import Environment, enter_environment
from common_tf.runs.saved_detector import weights_digest
from common_tf.runs.schedule import Schedule
from common_tf.runs.session import Session
from common_tf.runs.shared_run import agree_on, open_run
from common_tf.runs.weights import weights_record
from common_tf.sources.pipeline import Pipeline
from common_tf.splits.seen import rows_behind
from cyclegan_tf.config import TranslatorConfig, load_translator_config
from cyclegan_tf.data import TrainingData
from cyclegan_tf.start import Weights, start_weights
from cyclegan_tf.systems import system_class
from cyclegan_tf.trainable import TrainableTranslator
from cyclegan_tf.translator import Translator
from cyclegan_tf.truth import is_scored, score_phantom_run
from cyclegan_tf.validation import Validation
from cyclegan_tf.volume_data import load_data

EXTRACTOR_FILE = "extractor.json"


def train_translator(config: TranslatorConfig, *, run: Path, resume: str = "auto", profile: int = 0) -> bool:
    """Trains, or continues, the run in a folder.

    Args:
        config: what to train.
        run: the run folder.
        resume: ``auto`` or ``never``; see `RunFolder`.
        profile: steps that are profiled for TensorBoard.

    Returns:
        True when the training is complete, False when the user stopped it.

    Raises:
        UserError: anything about data, folder or config that the user can mend; nothing has been written then.
    """
    with open_run(run, config, resume=resume, load=load_translator_config) as folder:
        system = system_class(config.model)
        with first_goes_ahead():  # a check may download
            system.check(config)
        start = start_weights(config)
        policy = precision_policy(config.optimisation.precision)
        environment = enter_environment(folder.path, policy, deterministic=config.run.deterministic)
        with first_goes_ahead():
            data = load_data(config, system)
        print("\n".join(data.lines(config)), flush=True)
        counts = data.dataset.counts(data.splits, config.data.domain_names)
        rows = data.dataset.rows(data.splits)
        beside = data.pairs.rows() if data.pairs else ()
        agree_on(config, [*rows, *beside], {"extractor": _extractor_digest(config)})
        folder.begin(
            rows,
            data.findings,
            counts=counts,
            pairs=beside,
            inherited=rows_behind(Path(config.optimisation.weights)) if start else (),
            more={"split": config.data.split},
        )
        if replicas().is_first:
            _settle_extractor(folder.path, config)
            save_preparations(folder.path / PREPARATION_FILE, {one.name: one.preparation for one in (data.a, data.b)})
        with first_goes_ahead():
            pipeline = data.pipeline(config)
        return _train_in(folder.path, config, data, pipeline, system, start, environment, profile)


def _train_in(
    path: Path,
    config: TranslatorConfig,
    data: TrainingData,
    pipeline: Pipeline,
    system: type[Translator],
    start: Weights,
    environment: Environment,
    profile: int,
) -> bool:
    optimisation, leads = config.optimisation, replicas().is_first
    total = optimisation.steps or optimisation.epochs * pipeline.steps_per_epoch
    translator = system(config, policy=environment.policy, total_steps=total)
    translator.start_from(start)
    with alone():
        validation = Validation(translator, config, data) if leads else None
        trainable = TrainableTranslator(path, translator, validation, pipeline)
    session = Session(
        folder=path,
        trainable=trainable,
        schedule=Schedule(
            total_steps=total,
            steps_per_epoch=pipeline.steps_per_epoch,
            save_every_epochs=config.run.save_every,
            save_every_steps=config.run.save_every_steps,
            validate_every_steps=config.validation.validate_every_steps,
            log_every=config.run.log_every,
        ),
        environment=environment,
        keep=config.run.keep_checkpoints,
        figure=validation.figure if validation else "",
        epoch_lines=_notebook_lines if getattr(config.system, "log_style", "") == "notebook" else _no_lines,
        profile=profile,
    )
    _say_start(config, translator, session, trainable.references)
    outcome = session.run(pipeline.batches)
    if not leads:
        return outcome.done
    if outcome.done and data.dataset.is_drawn and not is_scored(path, weights_record(path)["step"]):
        with alone():
            score_phantom_run(path, config)
    if not outcome.done:
        print(f"stopped after step {outcome.step} and saved; the same command continues", flush=True)
    elif outcome.trained:
        print(f"done: {outcome.step} steps in {outcome.minutes:.1f} min of training; {path}")
    else:
        print(f"nothing to do: {outcome.step} steps are done, in {outcome.minutes:.1f} min of training; {path}")
    return outcome.done


def _settle_extractor(folder: Path, config: TranslatorConfig) -> None:
    """A run whose losses look through a detector goes on with that detector and no other."""
    digest = _extractor_digest(config)
    if digest is None:
        return
    options, record = config.system, folder / EXTRACTOR_FILE
    if not record.exists():
        replace_json(record, {"extractor": options.extractor, "sha256": digest})
    elif read_json(record, way_out="restore it, or choose another --run folder").get("sha256") != digest:
        raise UserError(
            f"{options.extractor}: has other weights than when {folder} was begun, so its losses would be others; put "
            "them back, or choose another --run folder"
        )


def _extractor_digest(config: TranslatorConfig) -> str | None:
    """Of the detector that losses look through; ``None`` where none does."""
    options = config.system
    wanted = getattr(options, "perceptual_weight", 0.0) or getattr(options, "style_weight", 0.0)
    return weights_digest(Path(options.extractor)) if wanted and Path(options.extractor).is_dir() else None


def _say_start(
    config: TranslatorConfig, translator: Translator, session: Session, references: Mapping[str, float]
) -> None:
    sizes = {network.name: network.count_params() for network in translator.inference_networks().values()}
    parameters = ", ".join(f"{name} {count:,} parameters" for name, count in sizes.items())
    schedule = session.schedule
    print(f"model: {config.model}, preset {config.preset}, {config.data.image_size} px; {parameters}")
    print(f"training: {schedule.total_steps} steps, {schedule.steps_per_epoch} an epoch")
    words = ", ".join(f"{name} {value:.4g}" for name, value in references.items() if "precision" not in name)
    print(f"validation distances to compare with: {words}")
    if session.restored:
        print(f"continuing after step {session.start} from {os.path.relpath(session.restored)}", flush=True)
    if session.start > schedule.total_steps:
        print(f"the run has {session.start} steps already, more than the {schedule.total_steps} that were asked for")
    elif session.start == schedule.total_steps:
        print(f"all {schedule.total_steps} steps are done; a larger --steps or --epochs continues the run")
    elif not session.restored:
        origin = config.optimisation.weights
        afresh = f"from the generators of {origin}" if origin else "afresh"
        print(f"starting {afresh}; Ctrl-C saves and stops", flush=True)


def _notebook_lines(
    epoch: int, seconds: float, means: Mapping[str, float], path: str | None, progress: TrainingProgress
) -> None:
    """The Kaggle notebook's log lines, word for word."""
    progress.say(f"Mean MSE Loss for Epoch {epoch}: {means['unpaired_mse']}")
    if path:
        progress.say(f"Saving checkpoint for epoch {epoch} at {path}")
    progress.say(f"Time taken for epoch {epoch} is {seconds} sec\n")


def _no_lines(*_) -> None:
    """The progress bar says enough."""
