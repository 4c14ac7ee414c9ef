"""Full-state checkpoints, and inference weights beside them."""

import json
from pathlib import Path
from typing import Any, Mapping, Optional

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.runs.files import replace_file, replace_json


class Checkpoints:
    """CheckpointManager saves of everything that training needs to go on exactly where it stopped.

    Attributes:
        step: int64 variable, updates made.
        seconds: float64 variable, training time over all sessions.
        best: float32 variable, the best validation figure so far (lower is better); infinite before the first.
    """

    def __init__(self, folder: Path, *, keep: int, trainables: Mapping[str, tf.Module]):
        """Args: the run folder; how many checkpoints to keep; what is trained, by name, optimizers built."""
        self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
        self.seconds = tf.Variable(0.0, dtype=tf.float64, trainable=False, name="seconds")
        self.best = tf.Variable(float("inf"), trainable=False, name="best")
        self._checkpoint = tf.train.Checkpoint(step=self.step, seconds=self.seconds, best=self.best, **trainables)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(Path(folder) / "checkpoints"), max_to_keep=keep, checkpoint_name="ckpt"
        )

    def latest(self) -> Optional[str]:
        """The newest checkpoint's path, or ``None``."""
        return self._manager.latest_checkpoint

    def restore(self) -> Optional[str]:
        """Restores the newest checkpoint, if there is one, and returns its path.

        Raises:
            UserError: it does not fit what is being trained.
        """
        path = self.latest()
        if path is None:
            return None
        try:
            status = self._checkpoint.restore(path)
            # Plain `restore` is silent about names that match nothing.
            status.assert_existing_objects_matched()
            status.assert_consumed()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            raise UserError(
                f"{path}: cannot be restored, it is damaged or of another version ({str(error).splitlines()[0][:99]}); "
                "delete it to continue from the one before, or choose another --run folder"
            ) from error
        return path

    def save(self) -> str:
        """Saves and returns the checkpoint's path; an older one is there until the new one is whole."""
        try:
            return self._manager.save()
        except Exception:
            self._remove_fragments()
            raise

    def _remove_fragments(self) -> None:
        complete = {Path(path).name for path in self._manager.checkpoints}
        for file in Path(self._manager.directory).glob("ckpt-*"):
            if file.is_file() and file.name.split(".")[0] not in complete:
                file.unlink(missing_ok=True)


def save_weights(folder: Path, kind: str, networks: Mapping[str, tf.keras.Model], record: Mapping[str, Any]) -> None:
    """Saves inference weights as ``weights/KIND-STEP-NAME.weights.h5`` and points ``weights/KIND.json`` at them.

    The record is replaced last and old files are deleted after it, so that a reader finds a whole set at any time.

    Args:
        folder: of the run.
        kind: ``best`` or ``last``.
        networks: by the name that goes into the file name.
        record: what to say of them; must have ``step``.
    """
    weights = Path(folder) / "weights"
    weights.mkdir(exist_ok=True)
    names = {name: f"{kind}-{record['step']:07d}-{name}.weights.h5" for name in networks}
    for name, network in networks.items():
        replace_file(weights / names[name], lambda path, network=network: network.save_weights(str(path)))
    replace_json(weights / f"{kind}.json", {**record, "files": names})
    for old in weights.glob(f"{kind}-*.weights.h5"):
        if old.name not in names.values():
            old.unlink()


def load_weights(folder: Path, networks: Mapping[str, tf.keras.Model]) -> dict:
    """Loads the best inference weights of a run, or the last ones where no best has been chosen.

    Returns:
        The record that was saved with them.

    Raises:
        UserError: there are none, or they do not fit the networks.
    """
    weights = Path(folder) / "weights"
    for kind in ("best", "last"):
        record_file = weights / f"{kind}.json"
        if record_file.exists():
            break
    else:
        raise UserError(f"{folder}: no weights in it yet; train until the first checkpoint is saved")
    record = json.loads(record_file.read_text(encoding="utf-8"))
    for name, network in networks.items():
        file = weights / record["files"].get(name, f"{name}: not in {record_file.name}")
        try:
            network.load_weights(str(file))
        except (OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0][:120]
            raise UserError(f"{file}: missing, damaged or of another network ({reason})") from error
    return record
