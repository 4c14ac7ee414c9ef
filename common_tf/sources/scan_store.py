"""What was seen of files, kept between starts: a file is looked at again only where it has changed.

A file is known by its path, and is unchanged where its size, its inode and the times of its last change are those of
then. A file that was changed within the last seconds before it was looked at is not kept, for a further change might
leave the same time. All of it is in one SQLite file, which several processes may use at once; nothing in it is
executed, and whatever cannot be read is looked at anew.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

import imagehash
import nibabel
import numpy as np
import PIL
import pydicom
import scipy

from common_tf.errors import UserError
from common_tf.files import plain
from common_tf.garbage import without_collecting
from common_tf.pictures.readers import FileFacts
from common_tf.sources.scanning import THUMBNAIL_SIDE, Scan
from common_tf.sources.source import Case

SCANS_FILE = "scans.sqlite"

_VERSION = f"3 {imagehash.__version__} {PIL.__version__}"
_VOLUMES = f"1 {nibabel.__version__} {pydicom.__version__} {scipy.__version__}"
"""Slices of volumes are known by their values, which whoever decodes and resamples them decides."""
_SETTLED_SECONDS = 2.0
_BUSY_SECONDS = 10.0
_AT_ONCE = 500
_WORTH_KEEPING = 2000
_KIND = 16
_PIXELS = THUMBNAIL_SIDE**2
_TABLES = """
CREATE TABLE IF NOT EXISTS scans (name TEXT PRIMARY KEY, state TEXT, record TEXT, thumbnails BLOB);
CREATE TABLE IF NOT EXISTS results (name TEXT PRIMARY KEY, array BLOB);
"""


class StoredThumbnail:
    """A thumbnail on disk, read when it is looked at: ``np.asarray`` of it is ``(64, 64)`` uint8."""

    __slots__ = ("_name", "_place", "_store")

    def __init__(self, store: "ScanStore", name: str, place: int):
        self._store, self._name, self._place = store, name, place

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._store.thumbnails(self._name)[self._place], dtype)


class ScanStore:
    """The file of a cache folder.

    Args:
        folder: of the cache; made if it is not there.

    Raises:
        OSError: it cannot be written.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        try:
            self._base = _opened(folder / SCANS_FILE)
        except sqlite3.OperationalError as error:  # locked, or no disk to write on
            raise OSError(None, str(error)) from error
        except sqlite3.DatabaseError:  # damaged, or something else: it can be made again
            self._base = self._renewed(folder)
        self._folder = folder

    @staticmethod
    def _renewed(folder: Path) -> sqlite3.Connection:
        _remove(folder)
        try:
            return _opened(folder / SCANS_FILE)
        except sqlite3.Error as error:
            raise OSError(None, str(error)) from error

    @without_collecting()
    def known(self, cases: Sequence[Case]) -> list[list[Scan] | None]:
        """The scans of cases whose files have not changed since; ``None`` for the others."""
        states = _States()
        wanted = {states.name(case): number for number, case in enumerate(cases) if _has_files(case)}
        names = list(wanted)
        found: list[list[Scan] | None] = [None] * len(cases)
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            places = ",".join("?" * len(part))
            query = f"SELECT name, state, record, length(thumbnails) FROM scans WHERE name IN ({places})"  # noqa: S608
            try:
                with self._lock:
                    rows = self._base.execute(query, part).fetchall()
            except sqlite3.OperationalError:  # locked for long: the rest would wait as long again
                break
            except sqlite3.DatabaseError:
                self._base.close()
                self._base = self._renewed(self._folder)
                return [None] * len(cases)
            for name, state, record, size in rows:
                case = cases[wanted[name]]
                if state == states.state(case) and size == len(case.labels) * _PIXELS:
                    found[wanted[name]] = self._read(case, name, record)
        return found

    def add(self, scanned: Iterable[tuple[Case, Sequence[Scan]]], *, began: float) -> None:
        """Keeps scans of good files.

        Args:
            scanned: cases with their scans.
            began: ``time.time()`` before the first of them was looked at.
        """
        rows, states = [], _States(settled_at=began - _SETTLED_SECONDS)
        for case, scans in scanned:
            state = states.state(case) if _has_files(case) else ""
            if state and not any(scan.problem for scan in scans):
                blob = b"".join(np.asarray(scan.thumbnail, np.uint8).tobytes() for scan in scans)
                rows.append((states.name(case), state, json.dumps(plain([_record(scan) for scan in scans])), blob))
        try:
            with self._lock, self._base:
                self._base.executemany("INSERT OR REPLACE INTO scans VALUES (?, ?, ?, ?)", rows)
        except sqlite3.Error as error:
            raise OSError(None, str(error)) from error

    def thumbnails(self, name: str) -> np.ndarray:
        """``(pictures, 64, 64)`` uint8 of a case."""
        try:
            with self._lock:
                (blob,) = self._base.execute("SELECT thumbnails FROM scans WHERE name = ?", (name,)).fetchone()
        except (sqlite3.Error, TypeError) as error:  # gone since this start began
            raise UserError(f"{self._folder / SCANS_FILE}: cannot be read any more; run again with --rescan") from error
        return np.frombuffer(blob, np.uint8).reshape(-1, THUMBNAIL_SIDE, THUMBNAIL_SIDE)

    def result(self, name: str) -> np.ndarray | None:
        """What was computed of scans, by a name that says of which and how."""
        try:
            with self._lock:
                (blob,) = self._base.execute("SELECT array FROM results WHERE name = ?", (name,)).fetchone()
            return np.frombuffer(blob[_KIND:], blob[:_KIND].decode().strip())
        except (sqlite3.Error, TypeError, ValueError, AttributeError):  # not there, or damaged
            return None

    def keep_result(self, name: str, array: np.ndarray) -> None:
        """Keeps a flat array."""
        blob = array.dtype.str.ljust(_KIND).encode() + np.ascontiguousarray(array).tobytes()
        try:
            with self._lock, self._base:
                self._base.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (name, blob))
        except sqlite3.Error:
            pass  # it is computed again

    def _read(self, case: Case, name: str, record: str) -> list[Scan] | None:
        try:
            values = json.loads(record)
            return [
                _scan(case, label, value, StoredThumbnail(self, name, place))
                for place, (label, value) in enumerate(zip(case.labels, values, strict=True))
            ]
        except (ValueError, TypeError, KeyError):
            return None


class Remembered:
    """What was computed of a set of scans, kept between starts.

    Args:
        store: ``None`` where nothing can be kept.
        scans: of the set; those without hashes are not remembered.
    """

    def __init__(self, store: ScanStore | None, scans: Sequence[Scan]):
        known = all(scan.sha256 and scan.phash is not None for scan in scans)
        self._store = store if known and len(scans) >= _WORTH_KEEPING else None
        digest = hashlib.sha256(_VERSION.encode())
        for scan in scans if self._store else ():
            assert scan.phash is not None
            digest.update(f"\n{scan.sha256} {scan.label} ".encode() + scan.phash.tobytes())
        self._digest = digest

    def __call__(self, what: str, compute: Callable[[], np.ndarray], *of: np.ndarray) -> np.ndarray:
        """A result, from then or from now.

        Args:
            what: it is, with the version of its computation.
            compute: a flat array of numbers.
            of: what it depends on beside the scans.
        """
        if self._store is None:
            return compute()
        digest = self._digest.copy()
        for part in (what.encode(), *(np.ascontiguousarray(one).tobytes() for one in of)):
            digest.update(hashlib.sha256(part).digest())
        name = digest.hexdigest()
        found = self._store.result(name)
        if found is None:
            found = compute()
            self._store.keep_result(name, found)
        return found


def forget_scans(folder: Path) -> None:
    """Makes the next start look at every file again."""
    _remove(folder)


def _opened(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=_BUSY_SECONDS, check_same_thread=False)
    base.execute("PRAGMA synchronous = NORMAL")
    base.executescript(_TABLES)
    return base


def _remove(folder: Path) -> None:
    for name in (SCANS_FILE, f"{SCANS_FILE}-journal"):
        (folder / name).unlink(missing_ok=True)


def _has_files(case: Case) -> bool:
    return bool(case.paths or case.read_from)


class _States:
    """What tells whether scans of cases still hold. Files that many cases are read from are asked once.

    Args:
        settled_at: files that changed later are not to be trusted.
    """

    def __init__(self, *, settled_at: float = float("inf")):
        self._settled_at = settled_at
        # By identity: a series has hundreds of files, and each of its slices the same tuple of them.
        self._shared: dict[int, tuple[str, str]] = {}

    def name(self, case: Case) -> str:
        """What decides a case's scans beside the content of its files."""
        loader = getattr(case.load, "func", case.load)
        files = [f"{label}={os.path.abspath(path)}" for label, path in case.paths.items()]
        extra = [os.path.abspath(path) for path in case.extra]
        text = "\n".join([_VERSION, loader.__module__, loader.__qualname__, case.reading, *files, "", *extra])
        if case.read_from:
            text = f"{text}\n{_VOLUMES}\n{case.name}\n{self._of(case.read_from)[0]}"
        return _hashed(text)

    def state(self, case: Case) -> str:
        """Size, inode and times of a case's files; ``""`` where one changed too late to be trusted, or is gone."""
        if case.read_from:
            return self._of(case.read_from)[1]
        return self._stat((*dict.fromkeys(case.paths.values()), *case.extra))

    def _of(self, files: tuple[Path, ...]) -> tuple[str, str]:
        if id(files) not in self._shared:
            names, state = "\n".join(map(os.path.abspath, files)), self._stat(files)
            self._shared[id(files)] = _hashed(names), _hashed(state) if state else ""
        return self._shared[id(files)]

    def _stat(self, files: Iterable[Path]) -> str:
        parts = []
        for path in files:
            try:
                found = os.stat(path)
            except OSError:
                return ""
            if max(found.st_mtime, found.st_ctime) > self._settled_at:
                return ""
            parts.append(f"{found.st_size} {found.st_ino} {found.st_mtime_ns} {found.st_ctime_ns}")
        return " ".join(parts)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _record(scan: Scan) -> dict:
    assert scan.facts is not None and scan.phash is not None and scan.mirrored_phash is not None
    return {
        "sha256": scan.sha256,
        "facts": asdict(scan.facts),
        "phash": np.packbits(scan.phash).tobytes().hex(),
        "mirrored_phash": np.packbits(scan.mirrored_phash).tobytes().hex(),
        "extent": scan.extent,
        "extent_mm": scan.extent_mm,
        "aspect": scan.aspect,
        "quartiles": scan.quartiles,
        "unlike": scan.unlike,
        "notes": list(scan.notes),
    }


def _scan(case: Case, label: str, value: dict, thumbnail: StoredThumbnail) -> Scan:
    return Scan(
        name=case.files[label],
        label=label,
        given_split=case.given_split,
        sha256=value["sha256"],
        facts=FileFacts(**value["facts"]),
        phash=_bits(value["phash"]),
        mirrored_phash=_bits(value["mirrored_phash"]),
        thumbnail=thumbnail,
        extent=value["extent"],
        extent_mm=value["extent_mm"],
        aspect=value["aspect"],
        quartiles=tuple(value["quartiles"]),
        unlike=value["unlike"],
        notes=tuple(value["notes"]),
    )


def _bits(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8)).view(bool)
