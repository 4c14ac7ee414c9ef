"""SIGKILL at random moments: what is started again until it ends is what it would have been undisturbed.

    python -m tests.campaigns.kills [--kills 100] [--seed 0] [--tasks cyclegan detector ...] [--keep FOLDER]

Each task is done once undisturbed and timed. Then it is done again and again in a new folder, killed somewhere in that
time (also while it starts, saves, or writes its last file) and started again by the same command, until so many kills
were made. All that is there at the end is compared to the bit: arrays of weights, histories, tables, pictures; only
times and what names them are left out. A folder that differs goes to --keep, and the exit code is 1.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from tests.campaigns.page import Found, add_record_flag, finish

OUTPUT = "campaign-out"
"""The last name of every output: unlike any word that stands in one."""

ROOT = Path(__file__).resolve().parents[2]
_TIMES = re.compile(r"seconds|minutes|_s$|time|date|created|command|pid")
_TINY = ("--image-size", "64", "--set", "phantoms=16", "--save-every-steps", "3", "--steps", "12")


@dataclass(frozen=True)
class Task:
    """Something that is killed.

    Attributes:
        words: of the command; ``OUT`` stands for the folder that it writes.
        again: whether the same command goes on in a folder that is there; else the folder is removed first.
    """

    words: Sequence[str]
    again: bool = True


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
    from PIL import Image

    from common_tf.pictures.intensity import quantise
    from common_tf.pictures.phantom import draw_phantom

    for number in range(12):
        head = draw_phantom(number, size=64)
        for place, image in (
            ("in", head.ct),
            ("slices/testA", head.ct),
            ("slices/testB", head.mri),
            ("pairs/test/CT", head.ct),
            ("pairs/test/MRI", head.mri),
        ):
            file = folder / place / f"p{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(quantise(image)).save(file)
    return {"IN": str(folder / "in"), "SLICES": str(folder / "slices"), "PAIRS": str(folder / "pairs")}


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


def _content(file: Path) -> bytes:
    if file.suffix == ".h5":
        digest = hashlib.sha256()
        with h5py.File(file, "r") as stream:

            def add(name: str, item: object) -> None:
                if isinstance(item, h5py.Dataset):
                    digest.update(name.encode() + np.asarray(item).tobytes())

            stream.visititems(add)
        return digest.digest()
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


def _start(task: Task, out: Path, known: dict[str, str], environment: dict[str, str]) -> subprocess.Popen:
    if not task.again:
        shutil.rmtree(out, ignore_errors=True)
    words = [{**known, "OUT": str(out)}.get(word, word) for word in task.words]
    return subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def attack(name: str, task: Task, kills: int, dice: random.Random, keep: Path | None) -> Found:
    """Kills a task so many times.

    Returns:
        How many kills there were, and how many of the folders that they ended in were lost.
    """
    killed, ends = 0, 0
    losses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="campaign-kills-") as place:
        base = Path(place)
        known = inputs(base)
        environment = {**os.environ, "CT_MRI_CACHE": str(base / "cache"), "CT_MRI_EVALUATION_CACHE": str(base / "eval")}
        began = time.monotonic()
        whole = _start(task, base / "whole" / OUTPUT, known, environment)
        _, error = whole.communicate()
        if whole.returncode:
            raise RuntimeError(f"{name}: undisturbed it ends with {whole.returncode}: {error}")
        seconds, wanted = time.monotonic() - began, contents(base / "whole" / OUTPUT)
        while killed < kills:
            out = base / "killed" / OUTPUT
            shutil.rmtree(out, ignore_errors=True)
            for _ in range(50):
                process = _start(task, out, known, environment)
                try:
                    # Half of the kills come late, where it trains and writes; once enough were made it may end.
                    wait = seconds * dice.uniform(0.3, 1.1) if killed < kills else None
                    _, error = process.communicate(timeout=wait)
                    break
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    killed += 1
            ends += 1
            made = contents(out)
            other = sorted(file for file in {*wanted, *made} if wanted.get(file) != made.get(file))
            if process.returncode or other:
                ended = f"ends with {process.returncode}: {error.strip()}" if process.returncode else ""
                losses.append(ended or f"differs: {other}")
                print(f"{name}: {losses[-1]}", flush=True)
                if keep is not None:
                    shutil.copytree(out, keep / f"{name}-{ends}", dirs_exist_ok=True)
                    shutil.copytree(base / "whole" / OUTPUT, keep / f"{name}-whole", dirs_exist_ok=True)
    return Found("kills", name, killed, len(losses), f"ended in {ends} folders", tuple(losses))


def main() -> int:
    """Parses the flags and prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="of all tasks together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), metavar="TASK")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for folders that differ")
    add_record_flag(parser)
    arguments = parser.parse_args()
    each = -(-arguments.kills // len(arguments.tasks))
    found = [
        attack(name, TASKS[name], each, random.Random(f"{arguments.seed} {name}"), arguments.keep)
        for name in arguments.tasks
    ]
    return finish(found, arguments.record)


if __name__ == "__main__":
    sys.exit(main())
