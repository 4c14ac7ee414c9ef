"""All campaigns, a process for each thing that is attacked, as many at a time as there are cores; then one page.

python -m tests.campaigns [--seed 0] [--kills 100] [--count 1000] [--commands 20] [--keep FOLDER]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.campaigns.commands import COMMANDS
from tests.campaigns.kills import TASKS
from tests.campaigns.mutations import KINDS
from tests.campaigns.page import Found, finish, read_record
from tests.campaigns.processes import ROOT


def _jobs(arguments: argparse.Namespace) -> list[tuple[str, str, list[str]]]:
    """Campaign, name and words of each; what takes longest comes first, so that no core waits at the end."""
    seed = ["--seed", str(arguments.seed)]
    each = -(-arguments.kills // len(TASKS))
    jobs = [("kills", name, ["--tasks", name, "--kills", str(each), *seed]) for name in TASKS]
    jobs += [("stems", "10000", [])]
    jobs += [("resources", name, ["--tasks", name]) for name in TASKS]
    jobs += [("commands", name, ["--kinds", name, "--count", str(arguments.commands), *seed]) for name in COMMANDS]
    jobs += [("mutations", name, ["--kinds", name, "--count", str(arguments.count), *seed]) for name in KINDS]
    if arguments.keep is not None:
        keep = ["--keep", str(arguments.keep.resolve())]
        without = ("resources", "stems")
        jobs = [(one, name, [*words, *([] if one in without else keep)]) for one, name, words in jobs]
    return jobs


def _run(campaign: str, name: str, words: list[str], record: Path) -> list[Found]:
    command = [sys.executable, "-m", f"tests.campaigns.{campaign}", *words, "--record", str(record)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if record.is_file():
        return read_record(record)
    return [Found(campaign, name, 1, (" ".join(ended.stderr.split())[-300:] or "ended without a word",), "")]


def main() -> int:
    """Parses the flags, runs the campaigns and prints the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100, help="of all tasks together (default: %(default)s)")
    parser.add_argument("--count", type=int, default=1000, help="damaged files of each kind (default: %(default)s)")
    parser.add_argument("--commands", type=int, default=20, help="of those by command (default: %(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for what was lost")
    arguments = parser.parse_args()
    began = time.monotonic()
    found: list[Found] = []
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="campaigns-") as place, ThreadPoolExecutor(cores) as pool:
        asked = [pool.submit(_run, *job, Path(place) / f"{number}.json") for number, job in enumerate(_jobs(arguments))]
        try:
            for one in as_completed(asked):
                found += one.result()
                minutes = (time.monotonic() - began) / 60
                print(f"{minutes:5.1f} min  {one.result()[-1].campaign}, {one.result()[-1].name}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    found.sort(key=lambda one: (one.campaign, one.name))
    print(f"seed {arguments.seed}, {cores} cores, {(time.monotonic() - began) / 60:.0f} min")
    return finish(found, None)


if __name__ == "__main__":
    sys.exit(main())
