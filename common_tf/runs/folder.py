"""The folder of one training run: who may write to it, and what stands in it.

config.yaml      the config           manifest.csv  files, hashes, groups, splits     audit.json  the data's faults
history.jsonl    the losses           tensorboard/  the same for TensorBoard          samples/    picture grids
checkpoints/     full state           weights/      inference weights                 status.json where it stands
environment.json versions, arithmetic  inherited.csv what the start weights were trained on   pairs.csv pairs beside
"""

import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common_tf.errors import UserError
from common_tf.files import WRITING, remove_unfinished, replace_json
from common_tf.runs.config import config_difference, read_config_file, save_config
from common_tf.splits.finding import Finding, audit_record
from common_tf.splits.manifest import MANIFEST_FILE, ManifestRow, manifest_text, write_manifest
from common_tf.splits.seen import INHERITED_FILE, PAIRS_FILE

CONFIG_FILE = "config.yaml"
AUDIT_FILE = "audit.json"


class RunFolder:
    """An open run folder; use it as a context manager, it holds the folder's lock.

    Attributes:
        path: of the folder.
        resumed: the folder held a run with the same config.
    """

    def __init__(self, path: Path, config: Any, *, resume: str, load: Callable[[Path], Any]):
        """Opens a folder, or makes it.

        Args:
            path: of the folder.
            config: of the run.
            resume: ``auto`` continues a run of the same config, ``never`` refuses any folder in use.
            load: reads the config of a folder, to compare.

        Raises:
            UserError: the folder belongs to another run, is in use, or cannot be written.
        """
        self.path = Path(path)
        self._lock: int | None = None
        existing = self.path / CONFIG_FILE
        self.resumed = existing.exists()
        if self.resumed and resume == "never":
            raise UserError(
                f"{self.path}: holds a run already; choose another --run folder or leave out --resume never"
            )
        if self.resumed:
            if "format" not in read_config_file(existing):
                raise UserError(
                    f"{self.path}: holds a run of an earlier version, whose weights can be used and whose training "
                    "cannot be continued; choose another --run folder"
                )
            self._refuse_other_config(load(self.path), config)
        elif self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; choose another --run folder")
        elif self.path.exists() and not all(_is_leftover(item.name) for item in self.path.iterdir()):
            raise UserError(f"{self.path}: has files but no {CONFIG_FILE}, so it is no run folder; choose another")
        self._config = config
        self._begun = self.resumed
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        remove_unfinished(self.path)

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            os.close(self._lock)
        if not self._begun:
            (self.path / ".lock").unlink(missing_ok=True)
            for folder in self._made:
                if not any(folder.iterdir()):
                    folder.rmdir()

    def begin(
        self,
        rows: Sequence[ManifestRow],
        findings: Sequence[Finding],
        *,
        counts: Any,
        pairs: Sequence[ManifestRow] = (),
        inherited: Sequence[ManifestRow] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes config, manifest and audit, once everything that could refuse the run has been checked; before,
        nothing stays.

        Args:
            rows: the manifest: a run goes on only with the files and splits it began with, wherever they lie now.
            findings: of the audit.
            counts: images by label and split.
            pairs: the manifest of aligned pairs beside; as strict as the other.
            inherited: what the weights that the run starts from were trained on.
            more: for audit.json.

        Raises:
            UserError: the run began with other files or splits, or nobody can tell.
        """
        manifest, beside = self.path / MANIFEST_FILE, self.path / PAIRS_FILE
        for file, wanted in ((manifest, rows), (beside, pairs)):
            if self.resumed and file.exists() and file.read_bytes() != manifest_text(wanted).encode():
                raise UserError(
                    f"{file}: the data have changed since this run began; restore them, or choose another --run folder"
                )
        if self.resumed and pairs and not beside.exists():
            raise UserError(f"{self.path}: was begun without pairs; leave out --pairs, or choose another --run folder")
        if self.resumed and not manifest.exists() and any(self.path.rglob("*.index")):
            raise UserError(
                f"{manifest}: is lost, so nobody can tell what this run has trained on; put it back, or choose another "
                "--run folder"
            )
        self._begun = True
        save_config(self.path / CONFIG_FILE, self._config)
        write_manifest(manifest, rows)
        if pairs:
            write_manifest(beside, pairs)
        if inherited:
            write_manifest(self.path / INHERITED_FILE, inherited)
        record = {"counts": counts, "findings": audit_record(findings), **(more or {})}
        replace_json(self.path / AUDIT_FILE, record)

    def _refuse_other_config(self, old: Any, new: Any) -> None:
        difference = config_difference(old, new)
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


def _is_leftover(name: str) -> bool:
    """Whether a file is what a process leaves that is killed before its run has begun."""
    return name == ".lock" or name.startswith(WRITING)
