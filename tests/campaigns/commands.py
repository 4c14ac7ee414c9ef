"""Damaged files given to the commands: well done, or one line and exit code 2, in two minutes and two gigabytes.

    python -m tests.campaigns.commands [--count 20] [--seed 0] [--kinds png dicom ...] [--keep FOLDER]

Files are changed as in the campaign of mutations; here a whole command reads them, from its flags to what it prints.
Where it ends well each input file must be in what it wrote, or be named or counted in what it said. A lost folder goes
to --keep, and the exit code is 1.
"""

import csv
import functools
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tests.campaigns.kills import DRAWN, contents, differing, inputs
from tests.campaigns.mutations import (
    KINDS,
    TINY_DETECTOR,
    TINY_TRANSLATOR,
    damaged,
    finished_run,
    train_tiny_translator,
)
from tests.campaigns.page import Found, campaign_parser, finish
from tests.campaigns.processes import Ended, run

_SECONDS = 120


@dataclass(frozen=True)
class Command:
    """What reads the files.

    Attributes:
        make: writes whole files into a folder and returns those that are changed.
        words: of the command; ``FOLDER`` stands for the folder of the files, ``IN`` for whole slices, ``OUT`` for a
            folder that is not there, ``DATA`` for slices that stay where they are.
        same: pattern of what it writes that must be as if nothing had been damaged, where it ends well.
        counts: whether each input picture must be in what it wrote.
    """

    make: Callable[[Path], list[Path]]
    words: Sequence[str]
    same: str = ""
    counts: bool = False


def _translate(run: str, given: str) -> tuple[str, ...]:
    return ("translate.py", "--run", run, "--direction", "CT2MRI", "--input", given, "--output", "OUT")


@functools.cache
def _slices() -> tempfile.TemporaryDirectory:
    """Slices that stay where they are: what is kept of a file that has moved is not read again."""
    place = tempfile.TemporaryDirectory(prefix="campaign-slices-")
    inputs(Path(place.name))
    return place


def _kept_between_starts(folder: Path) -> list[Path]:
    with tempfile.TemporaryDirectory() as out:
        ended = _started(_TRAIN, folder, given="", out=Path(out) / "run")
    if ended.code:
        raise RuntimeError(f"undamaged it ends with {ended.code}: {ended.error}")
    return sorted(file for file in (folder / "cache").rglob("*") if file.is_file())


def _started(words: Sequence[str], folder: Path, *, given: str, out: Path) -> Ended:
    known = {"FOLDER": str(folder), "IN": given, "OUT": str(out), "DATA": f"{_slices().name}/{DRAWN}"}
    command = [known.get(word, word.replace("FOLDER/", f"{folder}/")) for word in words]
    return run(command, environment={"CT_MRI_CACHE": str(folder / "cache")}, seconds=_SECONDS)


_TRAIN = ("train_cyclegan.py", "--data", "DATA", "--run", "OUT", *TINY_TRANSLATOR, "--steps", "2")
_PICTURES = _translate("checkpoints/ct_mri_fast", "FOLDER")
_OWN = _translate("FOLDER/run", "IN")
_PREDICT = ("train_detector.py", "--run", "FOLDER/run", "--predict", "IN", "--output", "OUT")

COMMANDS: dict[str, Command] = {
    **{name: Command(KINDS[name].make, _PICTURES, counts=True) for name in ("png", "jpeg", "tiff", "bmp")},
    **{name: Command(KINDS[name].make, _PICTURES) for name in ("nifti", "dicom")},
    "checkpoint": Command(
        finished_run(train_tiny_translator, "checkpoints/*", lambda run: None).make,
        ("train_cyclegan.py", "--run", "FOLDER/run", *TINY_TRANSLATOR, "--steps", "4", "--set", "phantoms=16"),
        same="*",
    ),
    "translator records": Command(KINDS["translator records"].make, _OWN),
    "translator weights": Command(KINDS["translator weights"].make, _OWN, same="*.png"),
    "detector": Command(KINDS["detector"].make, _PREDICT, same="*.csv"),
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
        given, wanted = inputs(Path(place))["IN"], None
        if command.same:
            with tempfile.TemporaryDirectory() as whole:
                command.make(Path(whole))
                wanted = _attempt(command, Path(whole), given, Path(place) / "whole")[1]
        # Other damages than those of the campaign of mutations.
        dice = random.Random(f"{seed} commands {name}")
        for number, (folder, file) in enumerate(damaged(command.make, count, dice)):
            out = Path(place) / "out"
            outcome, made, said = _attempt(command, folder, given, out)
            if outcome == "done" and wanted is not None and made != wanted:
                outcome = f"done, and differs after {file.name} was damaged"
            if outcome == "done" and command.counts:
                outcome = _all_there(folder, out, said)
            counts[outcome] += 1
            if outcome not in ("done", "refused"):
                losses.append(f"{number}: {outcome}")
                print(f"{name} {losses[-1]}", flush=True)
                if keep is not None:
                    shutil.copytree(folder, keep / f"command-{name.replace(' ', '-')}-{number}", dirs_exist_ok=True)
            shutil.rmtree(out, ignore_errors=True)
    return Found("commands", name, count, tuple(losses), f"{counts['done']} done, {counts['refused']} refused")


def _attempt(command: Command, folder: Path, given: str, out: Path) -> tuple[str, dict[str, str], str]:
    """How it ended, what there is then of what must be the same, and what it said."""
    target = folder / "run" if "FOLDER/run" in command.words and "OUT" not in command.words else out
    before = contents(target) if target.exists() else {}
    ended = _started(command.words, folder, given=given, out=out)
    after = contents(target) if target.exists() else {}
    outcome = ended.fault or ("refused" if ended.code else "done")
    # What was asked for is written down before the state is read.
    other = set(differing(before, after)) - {"config.yaml"}
    if outcome == "refused" and other and command.words is not _TRAIN:
        outcome = f"refused, and something is written: {sorted(other)}"
    kept = {name: value for name, value in after.items() if fnmatch(name, command.same)}
    return outcome, kept, ended.out + ended.error


def _all_there(folder: Path, out: Path, said: str) -> str:
    """Whether each picture was translated, or spoken of by its name or as one of so many with its ending."""
    table = out / "synthetic.csv"
    if not table.is_file():
        return "done, and there is no table"
    with table.open() as stream:
        rows = {row["input"] for row in csv.DictReader(stream)}
    missing = [one for one in folder.iterdir() if one.is_file() and one.name not in rows]
    silent = [
        one.name
        for one in missing
        if one.name not in said and not re.search(rf"\d+ {re.escape(one.suffix or 'without an ending')}", said)
    ]
    return f"done, in silence without {silent}" if silent else "done"


def main() -> int:
    """Parses the flags and prints the page."""
    count = ("--count", 20, "attempts of each kind")
    asked = campaign_parser(__doc__, things=("--kinds", list(COMMANDS)), count=count).parse_args()
    found = [attack(name, COMMANDS[name], asked.count, asked.seed, asked.keep) for name in asked.names]
    return finish(found, asked.record)


if __name__ == "__main__":
    sys.exit(main())
