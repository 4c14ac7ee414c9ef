"""Training a detector from a config, or going on with it: one hold-out split, or a cross-validation."""

from pathlib import Path

from common_tf.replicas import alone, first_goes_ahead, replicas
from common_tf.runs.config import save_config
from common_tf.runs.environment import Environment, enter_environment, write_environment
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.schedule import Schedule
from common_tf.runs.session import Outcome, Session
from common_tf.runs.shared_run import agree_on, open_run
from common_tf.splits.manifest import MANIFEST_FILE, write_manifest
from common_tf.splits.seen import INHERITED_FILE, rows_behind
from detector_tf.config import DetectorConfig, load_detector_config
from detector_tf.folds import fold_folder
from detector_tf.networks import chosen_policy
from detector_tf.tasks.classify.training import Classification
from detector_tf.tasks.segment.training import Segmentation
from detector_tf.tasks.task import Fold, Task
from detector_tf.trainable import DetectorTrainable
from detector_tf.weights import build_started, fine_tuned_layers


def train_detector(config: DetectorConfig, *, run: Path, resume: str = "auto", profile: int = 0) -> bool:
    """Trains, or continues, the run in a folder.

    Args:
        config: what to train.
        run: the run folder; each fold of a cross-validation is a session of its own in ``fold-K``.
        resume: ``auto`` or ``never``; see `RunFolder`.
        profile: steps that are profiled for TensorBoard, of each fold.

    Returns:
        True when everything is trained and judged, False when the user stopped it.

    Raises:
        UserError: anything about data, weights, folder or config that the user can mend; nothing has been written then.
    """
    folds = config.data.folds
    with open_run(run, config, resume=resume, load=load_detector_config) as folder:
        environment = enter_environment(folder.path, chosen_policy(config), deterministic=config.run.deterministic)
        with first_goes_ahead():
            task: Task = Segmentation(config) if config.task == "segment" else Classification(config)
        task.say()
        if config.network.is_started:
            # Weights that cannot be had are found out before anything is written.
            with first_goes_ahead():
                started = build_started(config, classes=task.classes, policy="float32")
            fine_tuned_layers(config, started.network)
        inherited = rows_behind(Path(config.network.weights))
        agree_on(config, task.data.rows())
        folder.begin(task.data.rows(), task.data.findings, counts=task.data.counts(), inherited=inherited)
        leads = replicas().is_first
        if leads:
            write_environment(folder.path, environment)
        concluded = []
        for number in range(len(task.data.splits)):
            path = fold_folder(folder.path, number, folds=folds)
            if folds:
                print(f"fold {number + 1} of {folds}", flush=True)
            if folds and leads:
                path.mkdir(exist_ok=True)
                save_config(path / CONFIG_FILE, config)
                write_manifest(path / MANIFEST_FILE, task.data.rows(number))
                if inherited:
                    write_manifest(path / INHERITED_FILE, inherited)
            with first_goes_ahead():
                fold = task.fold(number)
            if not _fit(path, config, task, fold, environment, profile).done:
                print(f"stopped and saved; the same command continues ({folder.path})", flush=True)
                return False
            if leads:
                with alone():
                    concluded.append(fold.conclude(path))
        if leads:
            with alone():
                task.judge(folder.path, concluded)
        return True


def _fit(path: Path, config: DetectorConfig, task: Task, fold: Fold, environment: Environment, profile: int) -> Outcome:
    """Trains a fold from where its folder's checkpoint stands, validating after every epoch."""
    optimisation, steps_per_epoch = config.optimisation, fold.batches.steps_per_epoch
    total = optimisation.steps or optimisation.epochs * steps_per_epoch
    started = build_started(config, classes=task.classes, policy=environment.policy)
    trainable = DetectorTrainable(
        config,
        started,
        folder=path,
        loss=fold.loss,
        figures=fold.figures,
        policy=environment.policy,
        steps_per_epoch=steps_per_epoch,
        total_steps=total,
    )
    schedule = Schedule(
        total_steps=total,
        steps_per_epoch=steps_per_epoch,
        save_every_epochs=config.run.save_every,
        save_every_steps=config.run.save_every_steps,
        validate_every_steps=0,
        log_every=config.run.log_every,
        patience_steps=optimisation.patience * steps_per_epoch,
    )
    session = Session(
        path, trainable, schedule, environment, keep=config.run.keep_checkpoints, figure=task.figure,
        facts={"origin": started.origin}, profile=profile,
    )  # fmt: skip
    size = f"{started.network.count_params():,} parameters"
    print(f"{started.spec.backbone}: {size}, {started.origin}; {_where(session, total)}", flush=True)
    return session.run(fold.batches.from_step)


def _where(session: Session, total: int) -> str:
    """Where a session stands before it runs, in words."""
    start = session.start
    if not session.restored:
        return "starting afresh; Ctrl-C saves and stops"
    if not session.is_complete:
        return f"continuing after step {start}"
    if start < total:
        return f"ended after step {start}, for validation got no better"
    asked = f"; {total} were asked for" if start > total else ""
    return f"done after step {start}{asked}; a larger --epochs or --steps continues"
