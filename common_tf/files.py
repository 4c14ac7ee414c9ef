"""Files that are either whole or not there, and JSON that is either good or named."""

import glob
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from common_tf.errors import UserError
from common_tf.garbage import without_collecting

WRITING = ".writing-"
"""How names of files begin that are not yet whole."""

_LONGEST_TAIL, _LONGEST_ENDINGS = 220, 24
_LIVE: set[Path] = set()


def replace_file(path: Path, write: Callable[[Path], Any]) -> None:
    """Writes a file under a temporary name in the same folder and renames it.

    Args:
        path: the final name; keeps its suffix in the temporary name, because some writers look at it.
        write: called with the temporary path.

    Raises:
        Whatever ``write`` raises; the temporary file is removed and an older file at ``path`` is untouched.
    """
    path = Path(path)
    temporary = unfinished_name(path)
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def unfinished_name(path: Path) -> Path:
    """Where something is written before it gets its name: beside it, by this process, with the same endings.

    A name that is as long as a name may be would not fit behind a beginning of its own; a hash of it does.
    """
    return path.with_name(f"{WRITING}{os.getpid()}-{_tail(path.name)}")


def _tail(name: str) -> str:
    if len(os.fsencode(name)) <= _LONGEST_TAIL:
        return name
    endings = "".join(Path(name).suffixes[-2:])
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return digest + (endings if len(endings) <= _LONGEST_ENDINGS else Path(name).suffix[-_LONGEST_ENDINGS:])


@contextmanager
def staged_folder(output: Path, *, first: str = "") -> Iterator[Path]:
    """A folder to write into, which becomes the output at its end, or whose files are moved into one that is there.

    Args:
        output: made if it is not there.
        first: name of the file that is moved before the others, such as a table of them: whatever ends this half-way,
            it knows what is there.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    # Where the folder is there, inside it: it may be another disk than what is above it, or a link.
    hidden = f"{WRITING}{os.getpid()}"
    staging = output / hidden if output.exists() else unfinished_name(output)
    remove_unfinished(output, f"{WRITING}*")
    remove_unfinished(output.parent, f"{WRITING}*-{glob.escape(_tail(output.name))}")
    moving = False
    try:
        staging.mkdir()
        _LIVE.add(staging)
        yield staging
        moving = True
        if not output.exists():
            os.replace(staging, output)
            return
        for file in sorted(staging.rglob("*"), key=lambda file: (file.name != first, file)):
            if file.is_file():
                place = output / file.relative_to(staging)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(file, place)
        moving = False
    finally:
        _LIVE.discard(staging)
        if not moving:  # what a full disk or Ctrl-C leaves half-way is still there
            shutil.rmtree(staging, ignore_errors=True)


def refuse_used(output: Path, *, flag: str = "--output") -> None:
    """Refuses an output that is no new or empty folder; what a killed writer left does not count.

    Raises:
        UserError: something is there.
    """
    is_folder = output.is_dir()
    if (output.exists() and not is_folder) or (
        is_folder and any(not item.name.startswith(WRITING) for item in output.iterdir())
    ):
        raise UserError(f"{flag} {output}: is in use; give a new folder")


def remove_unfinished(folder: Path, pattern: str = f"**/{WRITING}*") -> None:
    """Removes what writers that were killed have left; what another living process writes stays.

    Args:
        folder: of the files; may be missing.
        pattern: of them, relative to the folder.
    """
    for item in list(folder.glob(pattern)):
        writer = item.name.removeprefix(WRITING).split("-")[0]
        if item in _LIVE:
            continue
        if writer.isdigit() and (int(writer) == os.getpid() or not _is_alive(int(writer))):
            shutil.rmtree(item, ignore_errors=True) if item.is_dir() else item.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    if os.name == "nt":
        return True  # there the question would be a signal
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def visible_files(folder: Path, *, recursive: bool = True) -> Iterator[Path]:
    """The files of a folder and of everything below it, also behind links. Hidden files and folders are left out.

    Args:
        folder: that exists.
        recursive: look into sub-folders too.

    Raises:
        UserError: a folder that may not be read.
    """
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(place)
        if real in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if recursive else []
        here = Path(place)
        yield from (here / name for name in sorted(names) if not name.startswith("."))


@without_collecting()
def every_file(folder: Path) -> list[Path]:
    """`visible_files` of a folder and of everything below it."""
    return list(visible_files(folder))


def place_in(folder: Path, path: Path) -> str:
    """Of a file that `visible_files` found in a folder, where in it, ``/`` between parts.

    As ``path.relative_to(folder).as_posix()``, which takes seconds for a hundred thousand files.
    """
    return str(path).removeprefix(f"{str(folder).rstrip(os.sep)}{os.sep}").replace(os.sep, "/")


def _refuse(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be listed ({error.strerror}); make it readable or move it away")


def replace_text(path: Path, text: str) -> None:
    """`replace_file` for UTF-8 text."""
    replace_file(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def replace_json(path: Path, value: Any) -> None:
    """`replace_file` for JSON, two spaces of indent; what is not finite becomes null, for JSON has no nan."""
    replace_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n")


def plain(value: Any) -> Any:
    """A value as JSON can say it: tuples as lists, NumPy's numbers as Python's, nan and infinity as ``None``."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path, *, way_out: str) -> dict:
    """Reads a JSON object.

    Args:
        path: of the file.
        way_out: what the user may do where it is missing or damaged, for the error.

    Raises:
        UserError: it is missing, empty, cut, or no object.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; {way_out}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: empty or damaged; {way_out}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: holds no JSON object; {way_out}")
    return value


def mapped_array(path: Path) -> np.ndarray:
    """Maps a ``.npy`` file; nothing else is tried, also where its content claims to be something else.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds no array, or is cut.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError):
        raise
    except Exception as error:  # its header is read as Python text: NumPy lets a dozen kinds through
        raise ValueError(f"{path}: no array") from error
