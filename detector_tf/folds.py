"""Where the folds of a cross-validation lie in its run folder."""

from pathlib import Path

from common_tf.errors import UserError
from detector_tf.config import DetectorConfig


def fold_name(number: object) -> str:
    """The folder's name, also the split's in the manifest."""
    return f"fold-{number}"


def fold_folder(run: Path, config: DetectorConfig, number: int) -> Path:
    """Where a fold's training lies: in the run itself for a hold-out."""
    return Path(run) / fold_name(number) if config.folds else Path(run)


def fold_folders(run: Path) -> list:
    """The folds of a run in their order; the run itself for a hold-out."""
    found = sorted(Path(run).glob(fold_name("*")), key=lambda path: int(path.name.split("-")[1]))
    return found or [Path(run)]


def refuse_folds(run: Path, *, flag: str = "") -> None:
    """Raises `UserError` for a cross-validation where one model is wanted."""
    first = Path(run) / fold_name(0)
    if first.is_dir():
        raise UserError(f"{flag}{run}: a cross-validation; give one of its folds, such as {first}")
