"""Damaged files given to the commands: well done, or one line and exit code 2, in two minutes and two gigabytes.

    python -m tests.campaigns.commands [--count 20] [--seed 0] [--kinds png dicom ...] [--keep FOLDER]

Files are changed as in the campaign of mutations; here a whole command reads them, from its flags to what it prints.
Where it ends well each input file must be in what it wrote, or be named or counted in what it said. A lost folder goes
to --keep, and the exit code is 1.
"""

import argparse
import csv
import functools
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.kills import ROOT, inputs
from tests.campaigns.mutations import (
    KINDS,
    TINY_DETECTOR,
    TINY_TRANSLATOR,
    damaged,
    finished_run,
    train_tiny_translator,
)
from tests.campaigns.page import Found, add_record_flag, finish

_SECONDS = 120
_MEMORY = 2 * 2**20
"""Kilobytes: two gigabytes."""


@dataclass(frozen=True)
class Command:
    """What reads the files.

    Attributes:
        make: writes whole files into a folder and returns those that are changed.
        words: of the command; ``FOLDER`` stands for the folder of the files, ``IN`` for whole slices, ``OUT`` for a
            folder that is not there.
    """

    make: Callable[[Path], list[Path]]
    words: Sequence[str]


def _translate(run: str, given: str) -> tuple[str, ...]:
    return ("translate.py", "--run", run, "--direction", "CT2MRI", "--input", given, "--output", "OUT")


@functools.cache
def _slices() -> tempfile.TemporaryDirectory:
    """Slices that stay where they are: what is kept of a file that has moved is not read again."""
    place = tempfile.TemporaryDirectory(prefix="campaign-slices-")
    drawn = Path(inputs(Path(place.name) / "drawn")["PAIRS"]) / "test"
    for label, side in (("A", "CT"), ("B", "MRI")):
        shutil.copytree(drawn / side, Path(place.name) / "data" / f"train{label}")
    return place


def _kept_between_starts(folder: Path) -> list[Path]:
    with tempfile.TemporaryDirectory() as out:
        ended = _started(_TRAIN, folder, given="", out=Path(out) / "run")
    if ended.returncode:
        raise RuntimeError(f"undamaged it ends with {ended.returncode}: {ended.stderr}")
    return sorted(file for file in (folder / "cache").rglob("*") if file.is_file())


def _started(words: Sequence[str], folder: Path, *, given: str, out: Path) -> subprocess.CompletedProcess:
    known = {"FOLDER": str(folder), "IN": given, "OUT": str(out), "DATA": f"{_slices().name}/data"}
    return subprocess.run(
        [sys.executable, *(known.get(word, word.replace("FOLDER/", f"{folder}/")) for word in words)],
        cwd=ROOT,
        env={**os.environ, "CT_MRI_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )


_TRAIN = ("train_cyclegan.py", "--data", "DATA", "--run", "OUT", *TINY_TRANSLATOR, "--steps", "2")
_PICTURES = _translate("checkpoints/ct_mri_fast", "FOLDER")
_OWN = _translate("FOLDER/run", "IN")
_PREDICT = ("train_detector.py", "--run", "FOLDER/run", "--predict", "IN", "--output", "OUT")

COMMANDS: dict[str, Command] = {
    **{name: Command(KINDS[name].make, _PICTURES) for name in ("png", "jpeg", "tiff", "bmp", "nifti", "dicom")},
    "checkpoint": Command(
        finished_run(train_tiny_translator, "checkpoints/*", lambda run: None).make,
        ("train_cyclegan.py", "--run", "FOLDER/run", *TINY_TRANSLATOR, "--steps", "4", "--set", "phantoms=16"),
    ),
    "translator records": Command(KINDS["translator records"].make, _OWN),
    "translator weights": Command(KINDS["translator weights"].make, _OWN),
    "detector": Command(KINDS["detector"].make, _PREDICT),
    "detector records": Command(KINDS["detector records"].make, _PREDICT),
    "records": Command(
        KINDS["records"].make,
        ("train_detector.py", "--run", "FOLDER/run", *TINY_DETECTOR, "--steps", "4", "--set", "phantoms=40"),
    ),
    "cache": Command(_kept_between_starts, _TRAIN),
}


def attack(name: str, command: Command, count: int, seed: int, keep: Path | None) -> Found:
    """Changes files and gives them to the command."""
    counts: Counter = Counter()
    losses = []
    with tempfile.TemporaryDirectory(prefix="campaign-commands-") as place:
        given = inputs(Path(place))["IN"]
        for number, (folder, file) in enumerate(damaged(command.make, count, random.Random(f"{seed} {name}"))):
            out = Path(place) / "out"
            outcome = _attempt(command, folder, file, given, out)
            counts[outcome] += 1
            if outcome not in ("done", "refused"):
                losses.append(f"{number}: {outcome}")
                print(f"{name} {losses[-1]}", flush=True)
                if keep is not None:
                    shutil.copytree(folder, keep / f"command-{name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
            shutil.rmtree(out, ignore_errors=True)
    words = f"{counts['done']} done, {counts['refused']} refused"
    return Found("commands", name, count, len(losses), words, tuple(losses))


def _attempt(command: Command, folder: Path, file: Path, given: str, out: Path) -> str:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    try:
        ended = _started(command.words, folder, given=given, out=out)
    except subprocess.TimeoutExpired:
        return f"longer than {_SECONDS} s"
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    said = ended.stdout + ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    if most > max(before, _MEMORY):
        return f"{most / 2**20:.1f} GB"
    if ended.returncode not in (0, 2) or "Traceback" in said or (ended.returncode == 2 and len(lines) != 1):
        return f"ends with {ended.returncode}: {' '.join(said.split())[-300:]}"
    if ended.returncode == 2:
        return "refused" if not out.exists() or command.words is _TRAIN else "refused, and something is written"
    return "done" if command.words is not _PICTURES else _all_there(folder, file, out, said)


def _all_there(folder: Path, file: Path, out: Path, said: str) -> str:
    """Whether each picture was translated or spoken of; the slices of volumes are not counted."""
    table = out / "synthetic.csv"
    rows = {row["input"] for row in csv.DictReader(table.open())} if table.is_file() else set()
    silent = {one.name for one in folder.iterdir()} - rows
    if not rows or not any(name.endswith((".png", ".jpg", ".tif", ".bmp")) for name in rows):
        return "done"
    ending = file.suffix or "no ending"
    return "done" if not silent or file.name in said or ending in said else f"in silence without {sorted(silent)}"


def main() -> int:
    """Parses the flags and prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="attempts of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=list(COMMANDS), default=list(COMMANDS), metavar="KIND")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for what was lost")
    add_record_flag(parser)
    arguments = parser.parse_args()
    names = arguments.kinds
    found = [attack(name, COMMANDS[name], arguments.count, arguments.seed, arguments.keep) for name in names]
    return finish(found, arguments.record)


if __name__ == "__main__":
    sys.exit(main())
