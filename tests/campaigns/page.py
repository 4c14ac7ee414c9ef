"""What campaigns found, a line for each thing that was attacked, and the page of all."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_CUT = 300


@dataclass(frozen=True)
class Found:
    """What came of attacking one thing.

    Attributes:
        campaign: which attack.
        name: what was attacked.
        tried: attempts.
        losses: what happened, for each that ended as it may not.
        words: how the others ended.
    """

    campaign: str
    name: str
    tried: int
    losses: tuple[str, ...]
    words: str

    @property
    def lost(self) -> int:
        """How many."""
        return len(self.losses)


def campaign_parser(
    description: str | None,
    *,
    things: tuple[str, Sequence[str]] | None = None,
    count: tuple[str, int, str] | None = None,
    draws: bool = True,
) -> argparse.ArgumentParser:
    """The flags of a campaign.

    Args:
        description: its docstring.
        things: flag that chooses what is attacked, and its names.
        count: flag that says how many attempts are made, its default and what it counts.
        draws: attempts are drawn, so there are ``--seed``, and ``--keep`` for what was lost.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, metavar="FILE", help="writes what was found as JSON")
    if things is not None:
        flag, names = things
        parser.add_argument(flag, nargs="+", choices=names, default=names, metavar="NAME", dest="names")
    if count is not None:
        flag, default, words = count
        parser.add_argument(flag, type=int, default=default, help=f"{words} (default: %(default)s)", dest="count")
    if draws:
        parser.add_argument("--seed", type=int, default=0)
        parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for what was lost")
    return parser


def finish(found: Sequence[Found], record: Path | None) -> int:
    """Prints the page and writes the record.

    Returns:
        The exit code: 1 where something was lost.
    """
    if record is not None:
        record.write_text(json.dumps([asdict(one) for one in found]))
    print("\n".join(page(found)))
    return int(any(one.lost for one in found))


def read_record(record: Path) -> list[Found]:
    """What `finish` wrote."""
    return [Found(**{**one, "losses": tuple(one["losses"])}) for one in json.loads(record.read_text())]


def page(found: Sequence[Found]) -> list[str]:
    """Lines: a table of tried, survived and lost, and below it what was lost."""
    lines = [f"{'':11} {'':20} {'tried':>6} {'survived':>8} {'lost':>5}"]
    for one in found:
        lines.append(
            f"{one.campaign:11} {one.name:20} {one.tried:6} {one.tried - one.lost:8} {one.lost:5}  {one.words}".rstrip()
        )
    tried, lost = sum(one.tried for one in found), sum(one.lost for one in found)
    lines.append(f"{'all':11} {'':20} {tried:6} {tried - lost:8} {lost:5}")
    lines += [f"LOST {one.campaign}, {one.name}: {text[:_CUT]}" for one in found for text in one.losses]
    return lines
