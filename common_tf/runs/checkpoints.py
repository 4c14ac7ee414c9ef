"""Full-state checkpoints: saved whole, found again from the files, and passed over where they are damaged."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.files import replace_text
from common_tf.lanes import tensorflow_variable
from common_tf.replicas import replicas

_NAME = "ckpt"
_INDEX = re.compile(rf"^{_NAME}-(\d+)\.index$")


class Checkpoints:
    """CheckpointManager saves of everything that training needs to go on exactly where it stopped.

    Attributes:
        step: int64 variable, updates made.
        seconds: float64 variable, training time over all sessions.
        best: float64 variable, the best validation figure so far (lower is better); infinite before the first.
        best_step: int64 variable, the step of that figure; 0 before the first.
    """

    def __init__(self, folder: Path, *, keep: int, state: tf.Module, trained: Callable[[], Sequence[tf.Variable]]):
        """Names what is saved.

        Args:
            folder: of the run.
            keep: how many checkpoints to keep.
            state: what is saved, optimizers built.
            trained: the weights that must be finite.
        """
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        self.best = tf.Variable(float("inf"), dtype=tf.float64, trainable=False, name="best")
        self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False, name="best_step")
        self._checkpoint = tf.train.Checkpoint(
            step=self.step, seconds=self.seconds, best=self.best, best_step=self.best_step, state=state
        )
        self._trainable_state = state
        self._folder = Path(folder) / "checkpoints"
        self._keep, self._trained = keep, trained
        self._manager: tf.train.CheckpointManager | None = None

    def latest(self) -> str | None:
        """The newest checkpoint's path, or ``None``."""
        return self._manager.latest_checkpoint if self._manager else None

    def restore(self, *, say: Callable[[str], None] = print) -> str | None:
        """Restores the newest whole checkpoint, if there is one, and returns its path.

        Which checkpoints there are follows from the files, for the index file ``checkpoint`` may be lost or cut. A
        damaged one is passed over with a line.

        Raises:
            UserError: there are only damaged ones, or it does not fit what is being trained.
        """
        found = whole_checkpoints(self._folder, say=say)
        self._open_manager(found)
        if not found:
            return None
        path = found[-1]
        try:
            with _without_patterns(path) as plain:
                status = self._checkpoint.restore(plain)
                # Plain `restore` is silent about names that match nothing.
                status.assert_existing_objects_matched()
                status.assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            reason = " ".join(str(error).split())[:99]
            raise UserError(
                f"{path}: is whole but of another version or lane ({reason}); continue it with the version that began "
                "it, or choose another --run folder"
            ) from error
        return path

    def share(self) -> None:
        """Gives the first process's state to all that share the training."""
        if replicas().count == 1:
            return
        every = [self.step, self.seconds, self.best, self.best_step, *self._state()]
        shapes = [(one.name, tuple(one.shape), one.dtype.name) for one in every]
        assert replicas().are_alike(repr([shape[1:] for shape in shapes]).encode()), shapes
        for variable, value in zip(every, replicas().of_first([one.numpy() for one in every])):
            variable.assign(value)

    def are_alike(self) -> bool:
        """Whether all processes that share the training have the same state."""
        if replicas().count == 1:
            return True
        return replicas().are_alike(b"".join(one.numpy().tobytes() for one in self._state()))

    def _state(self) -> list[tf.Variable]:
        """Every variable of what is trained. Not of the checkpoint as a whole: whoever saves has a counter more."""
        found = map(tensorflow_variable, tf.train.TrackableView(self._trainable_state).descendants())
        return [one for one in found if one is not None]

    def save(self) -> str:
        """Saves and returns the checkpoint's path; an older one is there until the new one is whole.

        Raises:
            UserError: a weight is not finite; nothing is saved then.
        """
        assert self._manager is not None, "restore comes first"
        if not _all_finite(self._trained()):
            raise UserError(
                f"step {int(self.step)}: a weight is not finite; stopped without saving, the last good state is "
                f"{self.latest() or 'none'}; try a lower --set learning_rate= or --precision float32 in a new run "
                "folder"
            )
        try:
            return self._manager.save()
        finally:
            # What a failed save left, and what the manager has let go: it deletes by patterns, and so nothing in a
            # folder whose name is one, such as b[1].
            self._remove_others()

    def _open_manager(self, found: Sequence[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if found:
            # What the manager would have written; relative names, so that a run can be moved.
            names = [Path(path).name for path in found]
            lines = [f'model_checkpoint_path: "{names[-1]}"', *(f'all_model_checkpoint_paths: "{n}"' for n in names)]
            # Without these the manager forgets all but the newest, and never deletes the others.
            lines += [f"all_model_checkpoint_timestamps: {os.path.getmtime(path + '.index')}" for path in found]
            replace_text(self._folder / "checkpoint", "\n".join(lines) + "\n")
        else:
            (self._folder / "checkpoint").unlink(missing_ok=True)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(self._folder), max_to_keep=self._keep, checkpoint_name=_NAME
        )

    def _remove_others(self) -> None:
        kept = {Path(path).name for path in self._manager.checkpoints} if self._manager else set()
        for item in self._folder.iterdir():
            if item.name.startswith(f"{_NAME}-") and item.name.split(".")[0] not in kept:
                shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)


def whole_checkpoints(folder: Path, *, say: Callable[[str], None] = print) -> list[str]:
    """The paths of the checkpoints in a folder that can be read, the oldest first.

    The newest is read to its last byte; if it is damaged a line says so, and the next one is tried.

    Raises:
        UserError: there are some, all damaged.
    """
    folder = Path(folder)
    numbers = sorted(int(match[1]) for item in _items(folder) if (match := _INDEX.match(item.name)))
    paths = [str(folder / f"{_NAME}-{number}") for number in numbers]
    damaged: list[str] = []
    while paths and (reason := _damage(paths[-1])):
        damaged.append(f"{Path(paths.pop()).name} ({reason})")
    if damaged and not paths:
        raise UserError(
            f"{folder}: all {len(damaged)} checkpoints are damaged: {', '.join(damaged)}; put back a copy of them, or "
            "choose another --run folder"
        )
    if damaged:
        say(f"{folder}: damaged: {', '.join(damaged)}; going on from {Path(paths[-1]).name}")
    return paths


def _items(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _damage(path: str) -> str | None:
    """What is wrong with a checkpoint's files; ``None`` where every tensor can be read."""
    try:
        with _without_patterns(path) as plain:
            reader = tf.train.load_checkpoint(plain)
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
    except Exception as error:  # TensorFlow raises many kinds here, some of them bare
        return " ".join(str(error).split())[:99] or type(error).__name__
    return None


@contextlib.contextmanager
def _without_patterns(path: str) -> Iterator[str]:
    """The same checkpoint by a path that is no pattern: TensorFlow reads ``b[1]`` as one, and finds nothing."""
    if not any(character in path for character in "*?[]\\"):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "checkpoints"
        link.symlink_to(Path(path).parent.absolute(), target_is_directory=True)
        yield str(link / Path(path).name)


@tf.function(autograph=False, reduce_retracing=True)
def _finite(value: tf.Tensor) -> tf.Tensor:
    return tf.reduce_all(tf.math.is_finite(value))


def _all_finite(variables: Sequence[tf.Variable]) -> bool:
    return all(bool(_finite(tf.convert_to_tensor(variable))) for variable in variables)
