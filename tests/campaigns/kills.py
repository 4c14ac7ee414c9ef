"""SIGKILL at random moments: what is started again until it ends is what it would have been undisturbed.

    python -m tests.campaigns.kills [--kills 100] [--seed 0] [--tasks cyclegan detector ...] [--keep FOLDER]

Each task is done once undisturbed and timed. Then it is done again and again in a new folder, killed somewhere in that
time (also while it starts, saves, or writes its last file) and started again by the same command, until so many kills
were made. All that is there at the end is compared to the bit: arrays of weights, histories, tables, pictures; only
times and what names them are left out. A folder that differs goes to --keep, and the exit code is 1.
"""

import hashlib
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from common_tf.pictures import drawn_folders
from tests.campaigns.page import Found, campaign_parser, finish
from tests.campaigns.processes import SECONDS, run

DRAWN = "drawn"
"""The folder that `inputs` writes."""

OUTPUT = "campaign-out"
"""The last name of every output: unlike any word that stands in one."""

_TIMES = re.compile(r"seconds|minutes|_s$|time|date|created|command|pid")
_TINY = ("--image-size", "64", "--set", "phantoms=16", "--save-every-steps", "3", "--steps", "12")


@dataclass(frozen=True)
class Task:
    """Something that is killed; the same command goes on in the folder that is there.

    Attributes:
        words: of the command; ``OUT`` stands for the folder that it writes.
    """

    words: Sequence[str]


TASKS = {
    "cyclegan": Task(("train_cyclegan.py", "--run", "OUT", *_TINY)),
    "pix2pix": Task(("train_cyclegan.py", "--model", "pix2pix", "--run", "OUT", *_TINY)),
    "fastcut": Task(("train_cyclegan.py", "--model", "fastcut", "--run", "OUT", *_TINY)),
    "detector": Task(
        (
            "train_detector.py", "--run", "OUT", "--folds", "2", "--image-size", "32", "--set", "filters=4", "--set",
            "phantoms=48", "--batch-size", "8", "--epochs", "3", "--set", "save_every=1",
        )
    ),
    "translation": Task(
        (
            "translate.py", "--run", "checkpoints/ct_mri_fast", "--direction", "CT2MRI", "--input", "IN", "--output",
            "OUT",
        )
    ),
    "evaluation": Task(
        (
            "evaluate.py", "--translator", "checkpoints/ct_mri_fast", "--data", "SLICES", "--pairs", "PAIRS",
            "--output", "OUT",
        ),
    ),
}  # fmt: skip


def inputs(folder: Path) -> dict[str, str]:
    """What the tasks read: slices, two domains of them, and aligned pairs."""
    with redirect_stdout(StringIO()):
        drawn_folders.main([str(folder / DRAWN), "--heads", "12", "--size", "64"])
    drawn = folder / DRAWN
    return {"IN": str(drawn / "trainA"), "SLICES": str(drawn), "PAIRS": str(drawn / "pairs")}


def contents(folder: Path) -> dict[str, str]:
    """A hash of all that a folder holds, by file, without times."""
    found = {}
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder)
        if file.is_dir() or place.parts[0] == "tensorboard" or "tensorboard" in place.parts:
            continue
        if place.name in ("environment.json", "status.json", "checkpoint", "run.lock") or "checkpoints" in place.parts:
            continue  # the machine and the clock; the state is compared as the weights that come of it
        # A report names its own folder, by the whole path or by its last name.
        content = _content(file).replace(str(folder).encode(), b"OUT").replace(folder.name.encode(), b"OUT")
        found[place.as_posix()] = hashlib.sha256(content).hexdigest()
    return found


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Names of the files of which two `contents` say otherwise."""
    return sorted(name for name in {*first, *second} if first.get(name) != second.get(name))


def _content(file: Path) -> bytes:
    try:
        return _lasting(file)
    except (OSError, ValueError):  # damaged on purpose
        return file.read_bytes()


def _lasting(file: Path) -> bytes:
    """What of a file is the same the next time."""
    if file.suffix == ".h5":
        from common_tf.runs.weights import arrays_digest  # and with it TensorFlow, for seconds

        return arrays_digest(file).encode()
    content = file.read_bytes()
    if file.suffix in (".json", ".jsonl"):
        lines = content.decode().splitlines() if file.suffix == ".jsonl" else [content.decode()]
        return json.dumps([_timeless(json.loads(line)) for line in lines]).encode()
    if file.suffix in (".html", ".csv", ".md", ".txt"):
        content = re.sub(rb"\d+ arrays read from the cache, \d+ made", b"", content)
        return re.sub(rb"\d+(\.\d+)? (s|seconds|min|minutes)\b|\d\d:\d\d(:\d\d)?|20\d\d-\d\d-\d\d", b"", content)
    return content


def _timeless(value: object) -> object:
    if isinstance(value, dict):
        return {name: _timeless(item) for name, item in value.items() if not _TIMES.search(name)}
    return [_timeless(item) for item in value] if isinstance(value, list) else value


def words_of(task: Task, out: Path, known: Mapping[str, str]) -> list[str]:
    """The command of a task that writes a folder."""
    return [{**known, "OUT": str(out)}.get(word, word) for word in task.words]


def attack(name: str, task: Task, kills: int, dice: random.Random, keep: Path | None) -> Found:
    """Kills a task so many times.

    Returns:
        In how many folders it ended, and how many of them were lost.
    """
    killed, ends = 0, 0
    losses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="campaign-kills-") as place:
        base = Path(place)
        known = inputs(base)
        environment = {"CT_MRI_CACHE": str(base / "cache")}
        whole = run(words_of(task, base / "whole" / OUTPUT, known), environment=environment)
        if whole.code:
            raise RuntimeError(f"{name}: undisturbed it ends with {whole.code}: {whole.error}")
        wanted = contents(base / "whole" / OUTPUT)
        out = base / "killed" / OUTPUT
        while killed < kills:
            shutil.rmtree(out, ignore_errors=True)
            while True:
                # Most of the kills come where it trains and writes; once enough were made it may end.
                limit = whole.seconds * dice.uniform(0.3, 1.1) if killed < kills else SECONDS
                ended = run(words_of(task, out, known), environment=environment, seconds=limit)
                if ended.code is not None or limit == SECONDS:
                    break
                killed += 1
            ends += 1
            other = differing(wanted, contents(out))
            fault = ended.fault or ("is refused: " + ended.error.strip() if ended.code else "")
            if fault or other:
                losses.append(fault or f"differs: {other}")
                print(f"{name}: {losses[-1]}", flush=True)
                if keep is not None:
                    shutil.copytree(out, keep / f"{name}-{ends}", dirs_exist_ok=True)
                    shutil.copytree(base / "whole" / OUTPUT, keep / f"{name}-whole", dirs_exist_ok=True)
    return Found("kills", name, ends, tuple(losses), f"folders, {killed} kills")


def main() -> int:
    """Parses the flags and prints the page."""
    count = ("--kills", 100, "of all tasks together")
    asked = campaign_parser(__doc__, things=("--tasks", list(TASKS)), count=count).parse_args()
    each = -(-asked.count // len(asked.names))
    found = [attack(name, TASKS[name], each, random.Random(f"{asked.seed} {name}"), asked.keep) for name in asked.names]
    return finish(found, asked.record)


if __name__ == "__main__":
    sys.exit(main())
