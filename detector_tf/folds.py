"""Where the folds of a cross-validation lie in its run folder."""

import re
from pathlib import Path

from common_tf.errors import UserError

_FOLD = re.compile(r"^fold-(\d+)$")


def fold_name(number: int) -> str:
    """The folder's name, also the split's in the manifest."""
    return f"fold-{number}"


def fold_folder(run: Path, number: int, *, folds: int) -> Path:
    """Where a fold's training lies: in the run itself for a hold-out."""
    return Path(run) / fold_name(number) if folds else Path(run)


def fold_folders(run: Path) -> list[Path]:
    """The folds of a run in their order; the run itself for a hold-out."""
    items = Path(run).iterdir() if Path(run).is_dir() else ()
    found = {int(match[1]): item for item in items if (match := _FOLD.match(item.name))}
    return [found[number] for number in sorted(found)] or [Path(run)]


def fold_number(folder: Path) -> int:
    """The number of a fold's folder; 0 for a hold-out."""
    match = _FOLD.match(Path(folder).name)
    return int(match[1]) if match else 0


def refuse_folds(run: Path, *, flag: str = "") -> None:
    """Raises `UserError` for a cross-validation where one model is wanted."""
    first = Path(run) / fold_name(0)
    if first.is_dir():
        raise UserError(f"{flag}{run}: a cross-validation; give one of its folds, such as {first}")
