"""The folder of one training run: who may write to it, and what stands in it.

config.yaml      the config           manifest.csv  files, hashes, groups, splits     audit.json  the data's faults
history.jsonl    the losses           tensorboard/  the same for TensorBoard          samples/    picture grids
checkpoints/     full state           weights/      inference weights                 status.json where it stands
"""

import fcntl
import os
from pathlib import Path
from typing import Any, Optional, Sequence

from common_tf.errors import UserError
from common_tf.runs.config import config_difference, load_config, save_config
from common_tf.runs.files import replace_json

CONFIG_FILE = "config.yaml"


class RunFolder:
    """An open run folder; use it as a context manager, it holds the folder's lock.

    Attributes:
        path: of the folder.
        resumed: the folder held a run with the same config.
    """

    def __init__(self, path: Path, config: Any, *, resume: str, budget: Sequence[str]):
        """Opens a folder, or makes it.

        Args:
            path: of the folder.
            config: a config dataclass.
            resume: ``auto`` continues a run of the same config, ``never`` refuses any folder in use.
            budget: config fields that may differ (the length of the training).

        Raises:
            UserError: the folder belongs to another run, is in use, or cannot be written.
        """
        self.path = Path(path)
        self._lock: Optional[int] = None
        existing = self.path / CONFIG_FILE
        self.resumed = existing.exists()
        if self.resumed and resume == "never":
            raise UserError(
                f"{self.path}: holds a run already; choose another --run folder or leave out --resume never"
            )
        if self.resumed:
            self._refuse_other_config(load_config(existing, type(config)), config, budget)
        elif self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; choose another --run folder")
        elif self.path.exists() and any(item.name != ".lock" for item in self.path.iterdir()):
            raise UserError(f"{self.path}: has files but no {CONFIG_FILE}, so it is no run folder; choose another")
        self._config = config
        self._begun = self.resumed
        self._made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            os.close(self._lock)
        if not self._begun:
            (self.path / ".lock").unlink(missing_ok=True)
            if self._made:
                self.path.rmdir()

    def begin(self) -> None:
        """Writes the config, once everything that could refuse the run has been checked; before, nothing stays."""
        self._begun = True
        for name in ("checkpoints", "weights", "samples", "tensorboard"):
            (self.path / name).mkdir(exist_ok=True)
        save_config(self.path / CONFIG_FILE, self._config)

    def write_status(self, **values: Any) -> None:
        """Writes status.json."""
        replace_json(self.path / "status.json", values)

    def _refuse_other_config(self, old: Any, new: Any, budget: Sequence[str]) -> None:
        difference = config_difference(old, new, ignored=budget)
        if difference:
            raise UserError(
                f"{self.path}: holds a run with another config ({'; '.join(difference)}); "
                "repeat its command to continue it, or choose another --run folder"
            )

    def _take_lock(self) -> None:
        self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise UserError(f"{self.path}: another process is training in it; wait for it or choose another") from error
