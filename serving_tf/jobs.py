"""Jobs as folders: what was dropped, what was asked, where it stands, what came of it. They outlive the page."""

import fcntl
import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any

from common_tf.errors import UserError
from common_tf.files import replace_json

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
INPUT, MADE, BACK, VIEW = "input", "made", "back", "view"
"""Folders of a job: what was dropped, its translation, that translated back, and what the page draws."""

RUNS_FILE = "runs.json"
_JOB_FILE, _RESULT_FILE, _LOCK_FILE = "job.json", "result.json", ".lock"
_RESULT = ("notes", "items", "verdicts")
"""What is as large as the result; the list of all jobs does without."""
_ID = re.compile(r"^[0-9]{13}-[0-9a-f]{12}\Z")
_GONE = ".gone-"


@dataclass(frozen=True)
class Job:
    """One drop.

    Attributes:
        id: begins with the time, so that names are in order.
        created: seconds since 1970.
        translator, direction: name of a run and such as ``CT2MRI``; ``""`` for no translation.
        detector: name of a run, or ``""``.
        window: values that are black and white, ``BLACK:WHITE``; ``""`` for the files' own.
        names: of the files that were dropped.
        state: ``queued``, ``running``, ``done`` or ``failed``.
        progress: what is being done, how many are done, of how many.
        message: why it failed, with the way out.
        notes: what a person should know of the result.
        items: what the page shows, one a slice or volume.
        verdicts: what the detector says, before and after.
        seconds: how long it took.
    """

    id: str
    created: float
    translator: str = ""
    direction: str = ""
    detector: str = ""
    window: str = ""
    names: Sequence[str] = ()
    state: str = QUEUED
    progress: tuple[str, int, int] | None = None
    message: str = ""
    notes: Sequence[str] = ()
    items: Sequence[Mapping[str, Any]] = ()
    verdicts: Sequence[Mapping[str, Any]] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class JobFolder:
    """All jobs.

    Attributes:
        path: the folder; what it makes there is readable by its owner only, for scans lie in it.
    """

    path: Path

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

    def lock(self) -> IO[str]:
        """Takes the folder for one page and its worker, which inherits the open file; closing it gives it back.

        Raises:
            UserError: another page has it.
        """
        file = open(self.path / _LOCK_FILE, "a", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise UserError(
                f"--jobs {self.path}: another serve.py (or the worker of one that was killed, for as long as it works) "
                "uses it; name another folder"
            ) from error
        return file

    def place(self, name: str) -> Path:
        """The folder of a job.

        Raises:
            KeyError: not a name of a job.
        """
        if not _ID.match(name):
            raise KeyError(name)
        return self.path / name

    def new(self) -> Path:
        """A folder for the files of a job that is being dropped; it is none until `add`."""
        name = f"{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(6)}"
        for folder in (self.path / name, self.path / name / INPUT):
            folder.mkdir(mode=0o700)
        return self.path / name

    def add(self, place: Path, **asked: Any) -> Job:
        """Puts a job into the queue, once all of its files are there."""
        job = Job(place.name, time.time(), **asked)
        self.write(job)
        return job

    def read(self, name: str, *, whole: bool = True) -> Job:
        """A job.

        Args:
            name: of it.
            whole: with its result.

        Raises:
            KeyError: there is none of that name.
        """
        try:
            record = json.loads((self.place(name) / _JOB_FILE).read_text(encoding="utf-8"))
            result = self.place(name) / _RESULT_FILE
            if whole and record["state"] == DONE and result.is_file():
                record |= json.loads(result.read_text(encoding="utf-8"))
            return Job(**record)
        except (OSError, ValueError, TypeError) as error:
            raise KeyError(name) from error

    def write(self, job: Job, **changes: Any) -> Job:
        """Stores a job with changes; one that was deleted stays so."""
        job = replace(job, **changes)
        if (self.path / job.id).is_dir():
            record = asdict(job)
            result = {name: record.pop(name) for name in _RESULT}
            if any(name in changes for name in _RESULT):
                replace_json(self.path / job.id / _RESULT_FILE, result)
            replace_json(self.path / job.id / _JOB_FILE, record)
        return job

    def all(self) -> list[Job]:
        """Every job without its result, the oldest first."""
        found = []
        for name in sorted(item.name for item in self.path.iterdir() if _ID.match(item.name)):
            try:
                found.append(self.read(name, whole=False))
            except KeyError:
                continue  # being dropped, or just deleted
        return found

    def delete(self, name: str) -> None:
        """Removes a job with all of its files.

        Raises:
            KeyError: there is none of that name.
        """
        self.read(name, whole=False)
        self._remove(self.place(name))

    def sweep(self, keep_seconds: float) -> None:
        """Removes jobs whose time is over but for what is being done, drops that never became one, and remains."""
        limit = time.time() - keep_seconds
        running = {job.id for job in self.all() if job.state == RUNNING}
        for item in self.path.iterdir():
            if item.name.startswith(_GONE):
                shutil.rmtree(item, ignore_errors=True)
            elif _ID.match(item.name) and item.name not in running and int(item.name[:13]) / 1000 < limit:
                self._remove(item)

    def take_up(self) -> None:
        """What was running when the page or its worker ended stands in the queue again."""
        for job in self.all():
            if job.state == RUNNING:
                self.clear(job)
                self.write(job, state=QUEUED, progress=None)

    def clear(self, job: Job) -> None:
        """Removes all that was made of a drop."""
        for item in (self.path / job.id).iterdir():
            if item.is_dir() and item.name != INPUT:
                shutil.rmtree(item, ignore_errors=True)

    def _remove(self, place: Path) -> None:
        """At once for everybody else: a worker that is still at it finds nothing to write to."""
        gone = place.with_name(f"{_GONE}{place.name}")
        try:
            place.rename(gone)
        except OSError:
            gone = place
        shutil.rmtree(gone, ignore_errors=True)
