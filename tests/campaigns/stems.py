"""Ten thousand slices of one name, each in a folder of its own: trained on, translated and judged, and none is lost.

    python -m tests.campaigns.stems [--count 10000]

The slices are links to a few drawn heads, so that nearly all are copies of each other too.
"""

import csv
import os
import sys
import tempfile
from pathlib import Path

from tests.campaigns.kills import inputs
from tests.campaigns.mutations import TINY_DETECTOR, TINY_TRANSLATOR
from tests.campaigns.page import Found, campaign_parser, finish
from tests.campaigns.processes import run

_NAME = "slice.png"
_SECONDS = 1800


def _drawn(base: Path, count: int) -> dict[str, Path]:
    """Half of the slices in ``trainA``, half in ``trainB``, and all of them in ``yes`` and ``no``."""
    drawn = Path(inputs(base)["PAIRS"]) / "test"
    for side, places in (("CT", ("pictures/trainA", "classes/no")), ("MRI", ("pictures/trainB", "classes/yes"))):
        files = sorted((drawn / side).iterdir())
        for number in range(count // 2):
            for place in places:
                folder = base / place / f"p{number}"
                folder.mkdir(parents=True)
                os.link(files[number % len(files)], folder / _NAME)
    return {"pictures": base / "pictures", "classes": base / "classes"}


def _found(table: Path, *, written: bool) -> int:
    """How many rows of a table differ; of a table of files beside it how many there are."""
    with table.open() as stream:
        rows = list(csv.DictReader(stream))
    if written:
        return len({row["file"] for row in rows if (table.parent / row["file"]).is_file()})
    return len({tuple(row.items()) for row in rows})


def attack(count: int) -> list[Found]:
    """Does each thing with so many slices."""
    found = []
    with tempfile.TemporaryDirectory(prefix="campaign-stems-") as place:
        base = Path(place)
        data = _drawn(base, count)
        out = {name: base / name for name in ("translator", "detector", "translated", "judged")}
        given = str(data["pictures"] / "trainA")
        for name, words, table, wanted in (
            (
                "training",
                ["train_cyclegan.py", "--data", data["pictures"], "--run", out["translator"], *TINY_TRANSLATOR],
                out["translator"] / "manifest.csv",
                count // 2 * 2,
            ),
            (
                "translation",
                ["translate.py", "--run", out["translator"], "--direction", "CT2MRI", "--input", given],
                out["translated"] / "synthetic.csv",
                count // 2,
            ),
            (
                "detector",
                ["train_detector.py", "--data", data["classes"], "--run", out["detector"], *TINY_DETECTOR],
                out["detector"] / "manifest.csv",
                count // 2 * 2,
            ),
            (
                "verdicts",
                ["train_detector.py", "--run", out["detector"], "--predict", given],
                out["judged"] / "verdicts.csv",
                count // 2,
            ),
        ):
            more = ["--steps", "2"] if "--data" in words else ["--output", table.parent]
            ended = run([*words, *more], environment={"CT_MRI_CACHE": str(base / "cache")}, seconds=_SECONDS)
            rows = _found(table, written=name == "translation") if table.is_file() else 0
            fault = ended.fault or ("" if rows == wanted else f"{rows} of {wanted}: {ended.error.strip()[-200:]}")
            found.append(Found("one name", name, 1, (fault,) if fault else (), f"{rows} of {wanted} slices"))
    return found


def main() -> int:
    """Parses the flags and prints the page."""
    asked = campaign_parser(__doc__, count=("--count", 10_000, "slices"), draws=False).parse_args()
    return finish(attack(asked.count), asked.record)


if __name__ == "__main__":
    sys.exit(main())
