"""Commands under attack: how they are started, and how they may end."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600
"""After which a command that nobody killed hangs."""

_MEMORY_MB = 2048
_POLL = 0.02


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: of its exit; ``None`` where it was killed when its time was over.
        out, error: what it said.
        megabytes: resident at their highest.
        seconds: that it took.
    """

    code: int | None
    out: str
    error: str
    megabytes: float
    seconds: float

    @property
    def fault(self) -> str:
        """Why it may not end like this; ``""`` where it did well, or refused in one line."""
        said = " ".join((self.out + self.error).split())[-300:]
        lines = [line for line in self.error.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("error: ")]
        if self.code is None:
            return f"not ended after {self.seconds:.0f} s"
        if self.code not in (0, 2) or "Traceback" in self.out + self.error:
            return f"ends with {self.code}: {said}"
        if (self.code == 2) != bool(errors) or (errors and (len(errors) > 1 or lines[-1] != errors[0])):
            return f"ends with {self.code}, and not in one line: {said}"
        if self.megabytes > _MEMORY_MB:
            return f"{self.megabytes / 1024:.1f} GB"
        return ""


def run(
    words: Sequence[str],
    *,
    environment: Mapping[str, str],
    seconds: float = SECONDS,
    before: Callable[[], None] | None = None,
) -> Ended:
    """Runs a Python command from the root of the repository, and kills it when its time is over.

    Args:
        words: script and flags.
        environment: beside that of this process.
        seconds: that it has.
        before: is called in the new process before Python begins.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=out,
            stderr=error,
            preexec_fn=before,  # noqa: PLW1509 (limits, before anything is opened)
        )
        killed = False
        try:
            while True:
                number, status, usage = os.wait4(process.pid, os.WNOHANG)
                if number:
                    break
                if not killed and time.monotonic() - began > seconds:
                    os.kill(process.pid, signal.SIGKILL)
                    killed = True
                time.sleep(_POLL)
        except BaseException:  # Ctrl-C: it would live on
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        error.seek(0)
        return Ended(
            code=None if killed else process.returncode,
            out=out.read().decode(errors="replace"),
            error=error.read().decode(errors="replace"),
            megabytes=usage.ru_maxrss / 1024,
            seconds=time.monotonic() - began,
        )
