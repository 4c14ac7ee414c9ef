"""A run's folder and its data as processes see them that share its training."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common_tf.errors import UserError
from common_tf.replicas import replicas
from common_tf.runs.config import comparable_settings
from common_tf.runs.folder import RunFolder
from common_tf.splits.finding import Finding
from common_tf.splits.manifest import ManifestRow, manifest_text


class OthersFolder(RunFolder):
    """The folder of a run as a process sees it that only helps to train it: never touched."""

    def __init__(self, path: Path):
        self.path = Path(path)
        self.resumed = False

    def __exit__(self, *_: Any) -> None:
        """Nothing was taken."""

    def begin(self, rows: Sequence[ManifestRow], findings: Sequence[Finding], **_: Any) -> None:
        """Nothing is written."""


def open_run(path: Path, config: Any, *, resume: str, load: Callable[[Path], Any]) -> RunFolder:
    """A run's folder: `RunFolder` for the first of the processes that share a training, `OthersFolder` for the rest."""
    return RunFolder(path, config, resume=resume, load=load) if replicas().is_first else OthersFolder(path)


def agree_on(config: Any, rows: Sequence[ManifestRow], more: Mapping[str, Any] | None = None) -> None:
    """Refuses a training whose processes see other data or have other settings; places may differ.

    Args:
        config: of the run.
        rows: its manifest.
        more: whatever else must be the same, such as the digest of a network that losses look through.

    Raises:
        UserError: they do.
    """
    if replicas().count == 1:  # of a hundred thousand files the text alone takes a second
        return
    content = f"{comparable_settings(config)!r}\n{more!r}\n{manifest_text(rows)}"
    if not replicas().are_alike(content.encode()):
        raise UserError(
            "the processes of this training have other files or settings; give all of them the same command and the "
            "same data"
        )
