"""Jobs as folders: what was dropped, what was asked, where it stands, what came of it. They outlive the page."""

import json
import re
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from common_tf.files import replace_json

QUEUED, RUNNING, DONE, FAILED = "queued", "running", "done", "failed"
INPUT, MADE, BACK, VIEW = "input", "made", "back", "view"
"""Folders of a job: what was dropped, its translation, that translated back, and what the page draws."""

RUNS_FILE = "runs.json"
_JOB_FILE = "job.json"
_ID = re.compile(r"^[0-9]{13}-[0-9a-f]{12}$")


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
        path: the folder; readable by its owner only, for scans lie in it.
    """

    path: Path
    _locks: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)

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
        (self.path / name / INPUT).mkdir(parents=True, mode=0o700)
        return self.path / name

    def add(self, place: Path, **asked: Any) -> Job:
        """Puts a job into the queue, once all of its files are there."""
        job = Job(place.name, time.time(), **asked)
        self.write(job)
        return job

    def read(self, name: str) -> Job:
        """A job.

        Raises:
            KeyError: there is none of that name.
        """
        try:
            return Job(**json.loads((self.place(name) / _JOB_FILE).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise KeyError(name) from error

    def write(self, job: Job, **changes: Any) -> Job:
        """Stores a job with changes; one that was deleted stays so."""
        job = replace(job, **changes)
        if (self.path / job.id).is_dir():
            replace_json(self.path / job.id / _JOB_FILE, asdict(job))
        return job

    def all(self) -> list[Job]:
        """Every job, the oldest first."""
        found = []
        for name in sorted(item.name for item in self.path.iterdir() if _ID.match(item.name)):
            try:
                found.append(self.read(name))
            except KeyError:
                continue  # being dropped, or just deleted
        return found

    def delete(self, name: str) -> None:
        """Removes a job with all of its files.

        Raises:
            KeyError: there is none of that name.
        """
        self.read(name)
        shutil.rmtree(self.place(name), ignore_errors=True)

    def sweep(self, keep_seconds: float) -> None:
        """Removes jobs whose time is over, and drops that never became one."""
        limit = time.time() - keep_seconds
        for item in self.path.iterdir():
            if _ID.match(item.name) and int(item.name[:13]) / 1000 < limit:
                shutil.rmtree(item, ignore_errors=True)

    def take_up(self) -> None:
        """What was running when the page or its worker ended stands in the queue again."""
        for job in self.all():
            if job.state == RUNNING:
                for name in (MADE, BACK, VIEW):
                    shutil.rmtree(self.path / job.id / name, ignore_errors=True)
                self.write(job, state=QUEUED, progress=None)
