"""What a machine may lack: disk, rights, open files, short names, and a folder of its own.

    python -m tests.campaigns.resources [--tasks cyclegan detector ...]

Each task of the campaign of kills is done undisturbed once, then on a disk that is full at several sizes (and again
where there is room), in a folder that may not be written to, with 64 open files, with an output of 255 bytes, twice at
the same time in one folder, and with a clock that jumps. It may end well or with one line and exit code 2; nothing
else, and once there is room it must end as it did undisturbed. Full and read-only disks are small ones in memory, which
root alone may mount.
"""

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.campaigns.kills import DRAWN, OUTPUT, TASKS, Task, contents, differing, inputs, words_of
from tests.campaigns.page import Found, campaign_parser, finish
from tests.campaigns.processes import SECONDS, Ended, run

_FILLED = (0.0, 0.2, 0.5, 0.8, 0.97)
_FILES = 64
_LONGEST = 255

_CLOCK = """
import os, time

_now, _now_ns, _began = time.time, time.time_ns, time.monotonic()
_first, _then, _until = map(float, os.environ["CAMPAIGN_CLOCK"].split())


def _moved():
    return int(_first if time.monotonic() - _began < _until else _then)


time.time = lambda: _now() + _moved()
time.time_ns = lambda: _now_ns() + _moved() * 10**9
"""
"""A module that Python imports at its start. It moves ``time.time``, by which this project tells what is new, at once
and again after some seconds; times of files stay."""


class Lost(Exception):
    """A task ended in a way that it may not."""


def can_mount() -> bool:
    """Whether small disks can be mounted here."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(OSError, subprocess.CalledProcessError):
        with _disk(Path(folder), "64k"):
            return True
    return False


@contextlib.contextmanager
def _disk(place: Path, size: str) -> Iterator[None]:
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)


class _Attack:
    """The attempts on one task."""

    def __init__(self, task: Task, base: Path):
        self._task, self._base, self._known = task, base, inputs(base)
        whole = self._run(base / "whole" / OUTPUT)
        if whole.code:
            raise RuntimeError(f"undisturbed it ends with {whole.code}: {whole.error}")
        self._seconds = whole.seconds
        self._wanted = contents(base / "whole" / OUTPUT)
        every = [file for file in (base / "whole").rglob("*") if file.is_file()]
        self._kilobytes = sum(-(-file.stat().st_size // 4096) * 4 for file in every)

    def _run(
        self, out: Path, before: Callable[[], None] | None = None, *, seconds: float = SECONDS, **environment: str
    ) -> Ended:
        environment = {"CT_MRI_CACHE": str(self._base / "cache"), **environment}
        return run(words_of(self._task, out, self._known), environment=environment, before=before, seconds=seconds)

    def _refused(self, ended: Ended) -> bool:
        if ended.fault:
            raise Lost(ended.fault)
        return bool(ended.code)

    def _same(self, out: Path) -> None:
        if other := differing(self._wanted, contents(out)):
            raise Lost(f"differs from what it was undisturbed: {other[:5]}")

    def _ends(self, out: Path, before: Callable[[], None] | None = None) -> str:
        """Refused, or as it did undisturbed."""
        if self._refused(self._run(out, before)):
            return "refused"
        self._same(out)
        return "ended well"

    def full_disk(self) -> str:
        """Full at several sizes; with room the same command ends as it should."""
        refused = 0
        for share in _FILLED:
            place = self._base / "disk"
            place.mkdir(exist_ok=True)
            with _disk(place, f"{max(32, int(share * self._kilobytes))}k"):
                refused += self._refused(self._run(place / OUTPUT))
                subprocess.run(["mount", "-o", "remount,size=4g", str(place)], check=True, capture_output=True)
                if self._refused(self._run(place / OUTPUT)):
                    raise Lost(f"with room again it is refused (full at {share:.0%})")
                self._same(place / OUTPUT)
        return f"{refused} of {len(_FILLED)} refused, all went on"

    def read_only(self) -> str:
        """A disk that takes nothing."""
        place = self._base / "locked"
        place.mkdir()
        with _disk(place, "64m"):
            subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True, capture_output=True)
            if not self._refused(self._run(place / OUTPUT)):
                raise Lost("ends well where nothing can be written")
        return "refused"

    def few_files(self) -> str:
        """So many files may be open."""
        out = self._base / "few" / OUTPUT
        return self._ends(out, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES)))

    def long_name(self) -> str:
        """An output whose name is as long as a name may be."""
        return self._ends(self._base / ("n" * _LONGEST))

    def two_at_once(self) -> str:
        """The same command twice; one of them at least ends well, and then all is as if there had been one."""
        out = self._base / "both" / OUTPUT
        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(self._run, [out, out]))
        refused = [self._refused(one) for one in ends]
        if all(refused):
            raise Lost(f"both are refused: {ends[0].error.strip()} / {ends[1].error.strip()}")
        self._same(out)
        return f"{refused.count(False)} ended well"

    def clock_jumps(self) -> str:
        """A clock that is days ahead, until it is killed, and then one that jumps back while it runs."""
        place = self._base / "clock"
        place.mkdir()
        (place / "sitecustomize.py").write_text(_CLOCK)
        known = {"PYTHONPATH": os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH")]))}
        half = f"{self._seconds * 0.6:.1f}"
        ahead = self._run(place / OUTPUT, seconds=self._seconds * 0.7, CAMPAIGN_CLOCK=f"400000 400000 {half}", **known)
        if ahead.code is not None and self._refused(ahead):
            raise Lost(f"ahead it is refused: {ahead.error.strip()[-600:]}")
        back = self._run(place / OUTPUT, CAMPAIGN_CLOCK=f"0 -400000 {half}", **known)
        if self._refused(back):
            raise Lost(f"set back it is refused: {back.error.strip()[-600:]}")
        self._same(place / OUTPUT)
        return "ended well"


def attack(name: str, task: Task, *, mounts: bool) -> list[Found]:
    """What came of each attempt on a task."""
    found = []
    with tempfile.TemporaryDirectory(prefix="campaign-resources-") as place:
        one = _Attack(task, Path(place))
        attempts = {
            "few files": one.few_files,
            "long name": one.long_name,
            "two at once": one.two_at_once,
            "clock": one.clock_jumps,
        }
        if mounts:
            attempts |= {"full disk": one.full_disk, "read-only": one.read_only}
        for kind, attempt in attempts.items():
            words, losses = "", []
            try:
                words = attempt()
            except Lost as error:
                losses.append(str(error))
            found.append(Found(kind, name, 1, tuple(losses), words))
            for item in Path(place).iterdir():
                if item.name not in ("whole", "cache", DRAWN):
                    shutil.rmtree(item, ignore_errors=True)
    return found


def main() -> int:
    """Parses the flags and prints the page."""
    asked = campaign_parser(__doc__, things=("--tasks", list(TASKS)), draws=False).parse_args()
    mounts = can_mount()
    found = [one for name in asked.names for one in attack(name, TASKS[name], mounts=mounts)]
    if not mounts:
        why = "full and locked ones not tried: they cannot be mounted here (root alone may)"
        found += [Found("disks", name, 0, (), why) for name in asked.names]
    return finish(found, asked.record)


if __name__ == "__main__":
    sys.exit(main())
