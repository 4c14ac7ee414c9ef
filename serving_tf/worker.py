"""The worker process: TensorFlow lives here alone, so that the page answers while it works.

    python -m serving_tf.worker FOLDER NAME=RUN [NAME=RUN ...]

takes one job of the folder after another. It ends with the page that started it.
"""

import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from common_tf.command_line import storage_reason
from common_tf.errors import UserError
from common_tf.files import replace_json
from serving_tf.jobs import DONE, FAILED, QUEUED, RUNNING, RUNS_FILE, Job, JobFolder

_PAUSE = 0.2


def main(argv: Sequence[str]) -> None:
    """Works until the page ends."""
    jobs = JobFolder(Path(argv[0]))
    runs = {name: Path(run) for name, _, run in (word.partition("=") for word in argv[1:])}
    page = os.getppid()
    from serving_tf.work import Models, describe

    known, problems = [], []
    for name, folder in runs.items():
        try:
            known.append(describe(name, folder))
        except UserError as error:
            problems.append(_without_places(f"{name}: {error}", jobs.path, runs))
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr, flush=True)
    replace_json(jobs.path / RUNS_FILE, {"runs": known, "problem": "" if known else "; ".join(problems)})
    if not known:
        return
    models = Models(runs)
    while os.getppid() == page:
        waiting = [job for job in jobs.all() if job.state == QUEUED]
        if waiting:
            try:
                _do(waiting[0], jobs, models, runs)
            except OSError:
                time.sleep(1)  # not even the record could be written; the disk may be full for a while
        else:
            time.sleep(_PAUSE)


def _do(job: Job, jobs: JobFolder, models, runs: dict[str, Path]) -> None:
    from serving_tf.work import work

    began, folder = time.monotonic(), jobs.path / job.id
    job = jobs.write(job, state=RUNNING)

    def say(words: str, count: int, total: int) -> None:
        jobs.write(job, progress=(words, count, total))

    try:
        result = work(job, folder, models, say)
        result["notes"] = [_without_places(note, folder, runs) for note in result["notes"]]
        jobs.write(job, state=DONE, seconds=time.monotonic() - began, **result)
    except UserError as error:
        jobs.clear(job)
        jobs.write(job, state=FAILED, message=_without_places(str(error), folder, runs))
    except Exception as error:
        reason = storage_reason(error)
        if reason is None:
            # A bug is the log's, not the page's; the next job is done all the same.
            import traceback

            traceback.print_exc()
            reason = f"an error in the program ({type(error).__name__}); its log says more"
        jobs.clear(job)
        jobs.write(job, state=FAILED, message=_without_places(reason, folder, runs))


def _without_places(text: str, folder: Path, runs: dict[str, Path]) -> str:
    """A message as the page shows it: no place of this machine, and no flags of a command line."""
    for place in (folder / "input", folder / "made", folder, folder.parent):
        text = text.replace(f"{place}/", "").replace(str(place), "the drop")
    for name, run in runs.items():
        text = text.replace(str(run), name)
    text = re.sub(r"/(?:[^\s/:;,()']+/)+[^\s/:;,()']*", "…", text)  # what was cut before it came here
    text = re.sub(r"--window \w+=", "black and white: ", text)
    return re.sub(r"--(input|predict|direction|output|run) ", "", text)


if __name__ == "__main__":
    main(sys.argv[1:])
