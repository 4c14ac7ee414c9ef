"""Keeps one worker process running, and the folder of jobs tidy."""

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from common_tf.files import read_json
from serving_tf.jobs import FAILED, RUNNING, RUNS_FILE, JobFolder

_EVERY, _SWEEP_EVERY = 0.2, 60.0
_MANY_DEATHS, _WITHIN = 3, 60.0


class Supervisor:
    """The worker of a page.

    Args:
        jobs: all jobs.
        runs: folder by name.
        keep_seconds: for which a job is kept.
    """

    def __init__(self, jobs: JobFolder, runs: Mapping[str, Path], *, keep_seconds: float):
        self._jobs, self._runs, self._keep = jobs, runs, keep_seconds
        self._process: subprocess.Popen | None = None
        self._deaths: list[float] = []
        self._lock, self._end = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._held: IO[str] | None = None
        self.problem = ""

    def start(self) -> None:
        """Takes up what an earlier page left, and starts the worker.

        Raises:
            UserError: another page uses the folder.
        """
        self._held = self._jobs.lock()
        self._jobs.take_up()
        (self._jobs.path / RUNS_FILE).unlink(missing_ok=True)
        self._begin()
        self._thread.start()

    def stop(self) -> None:
        """Ends the worker; what it was at stands in the queue of the next page."""
        self._end.set()
        self._thread.join()
        with self._lock:
            self._kill()
        if self._held is not None:
            self._held.close()

    @property
    def runs(self) -> list[dict]:
        """What each run does; empty until the worker has looked at them."""
        file = self._jobs.path / RUNS_FILE
        if not file.is_file():
            return []
        found = read_json(file, way_out="start serve.py again")
        self.problem = found.get("problem", "") or self.problem
        return found["runs"]

    def delete(self, name: str) -> None:
        """Deletes a job; one that is being done is given up.

        Raises:
            KeyError: there is none of that name.
        """
        with self._lock:
            is_running = self._jobs.read(name, whole=False).state == RUNNING
            if is_running:
                self._kill()
            self._jobs.delete(name)
            if is_running:
                self._jobs.take_up()  # it may have been at the next one already
                self._begin()

    def _begin(self) -> None:
        words = [f"{name}={folder}" for name, folder in self._runs.items()]
        command = [sys.executable, "-m", "serving_tf.worker", str(self._jobs.path), *words]
        assert self._held is not None  # started
        # Its own session: Ctrl-C is for the page, which ends it. It holds the folder's lock for as long as it works.
        self._process = subprocess.Popen(
            command,
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=[self._held.fileno()],
        )

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _watch(self) -> None:
        swept = 0.0
        while not self._end.wait(_EVERY):
            try:
                if time.monotonic() - swept > _SWEEP_EVERY:
                    swept = time.monotonic()
                    self._jobs.sweep(self._keep)
                with self._lock:
                    if self._process is not None and self._process.poll() is not None and not self.problem:
                        self._replace()
            except OSError:
                continue  # a full disk, say: tried again, for what is swept makes room

    def _replace(self) -> None:
        """The worker is gone, perhaps for want of memory: its job failed, the others are not lost."""
        if not self.runs and self.problem:
            return
        now = time.monotonic()
        self._deaths = [one for one in self._deaths if now - one < _WITHIN] + [now]
        for job in self._jobs.all():
            if job.state == RUNNING:
                said = "the worker process ended (out of memory?); the page has started another, drop the files again"
                self._jobs.clear(job)
                self._jobs.write(job, state=FAILED, message=said)
        if len(self._deaths) > _MANY_DEATHS:
            self.problem = "the worker process ends again and again; the terminal of serve.py says why"
            return
        self._begin()
