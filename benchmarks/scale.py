#!/usr/bin/env python3
"""What a start and a step cost with more and more slices.

    python benchmarks/scale.py --data FOLDER [--slices 1000 10000 100000]

Draws the slices into FOLDER (64 px, one in twenty a brightened or mirrored copy of another, half CT and half MRI),
where the next call finds them, and starts a training twice for each number: the first start looks at every file, the
second at none. Each start is a process of its own, whose cache is in FOLDER too. A line a start: seconds to look at the
files, to find the groups, from the process' beginning to the first batch; steps a second; and the anonymous memory
(RssAnon) at its highest, for mapped files are given back when others want the memory.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_SIDE = 64
_COPIES = 20
_STEPS, _WARM = 60, 20


def _draw(folder: Path, first: int, last: int) -> None:
    """Slices of a range of seeds, both sides of each head."""
    import numpy as np
    from PIL import Image

    from common_tf.pictures.intensity import quantise
    from common_tf.pictures.phantom import draw_phantom

    for seed in range(first, last):
        copied = seed % _COPIES == _COPIES - 1
        head = draw_phantom(seed - 1 if copied else seed, size=_SIDE)
        for letter, image in (("A", head.ct), ("B", head.mri)):
            if copied:
                image = image[:, ::-1] if seed % 2 else np.clip(image * 1.1, 0, 1)
            Image.fromarray(quantise(image)).save(folder / f"train{letter}" / f"{seed:06d}.png")


def _drawn(folder: Path, count: int) -> Path:
    from joblib import Parallel, delayed

    place = folder / f"slices-{count}"
    if not place.exists():
        staging = folder / f"drawing-{count}"
        shutil.rmtree(staging, ignore_errors=True)
        for letter in "AB":
            (staging / f"train{letter}").mkdir(parents=True)
        heads = count // 2
        starts = range(0, heads, 250)
        Parallel(n_jobs=-1)(delayed(_draw)(staging, start, min(start + 250, heads)) for start in starts)
        os.replace(staging, place)
        time.sleep(3)  # files that have just been written are not trusted yet
    return place


class _Enough(Exception):
    """The steps that were wanted are done."""


def _start(data: Path, run: Path, began: float) -> dict:
    """A training of a few steps, with its clock."""
    found: dict = {"rss_anon_mb": 0.0}

    def watch() -> None:
        while True:
            lines = Path("/proc/self/status").read_text().splitlines()
            anonymous = next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
            found["rss_anon_mb"] = max(found["rss_anon_mb"], anonymous)
            time.sleep(0.1)

    threading.Thread(target=watch, daemon=True).start()
    import train_cyclegan
    from common_tf.sources import dataset
    from cyclegan_tf.trainable import TrainableTranslator

    def timed(name: str, function):
        def measured(*words, **more):
            start = time.perf_counter()
            result = function(*words, **more)
            found[name] = found.get(name, 0.0) + time.perf_counter() - start
            return result

        return measured

    dataset.scan_cases = timed("scan", dataset.scan_cases)
    dataset.near_duplicate_pairs = timed("groups", dataset.near_duplicate_pairs)
    step_of, times = TrainableTranslator.train_step, []

    def step(self, batch, number):
        times.append(time.time())
        if len(times) > _STEPS:
            raise _Enough
        return step_of(self, batch, number)

    TrainableTranslator.train_step = step
    words = ["--data", str(data), "--run", str(run), "--image-size", str(_SIDE), "--steps", "1000"]
    try:
        train_cyclegan.main(words)
    except _Enough:
        pass
    found["first_batch"] = times[0] - began
    found["steps_per_second"] = (_STEPS - _WARM) / (times[_STEPS] - times[_WARM])
    return found


def main() -> None:
    """Parses the flags, draws, and starts the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="for the slices, the cache, the runs"
    )
    parser.add_argument("--slices", type=int, nargs="+", default=[1000, 10_000, 100_000], metavar="N")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        data, run, began = arguments.one
        print(json.dumps(_start(Path(data), Path(run), float(began))), flush=True)
        os._exit(0)
    folder = arguments.data
    environment = {**os.environ, "CT_MRI_CACHE": str(folder / "cache")}
    print("  slices   start   scan s  groups s  first batch s  steps/s  RssAnon MB", flush=True)
    for count in arguments.slices:
        data = _drawn(folder, count)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        shutil.rmtree(folder / "runs", ignore_errors=True)
        for number in ("first", "second"):
            words = [sys.executable, __file__, "--data", str(folder), "--one", str(data), str(folder / "runs" / number)]
            done = subprocess.run([*words, str(time.time())], env=environment, capture_output=True, text=True)
            if done.returncode:
                sys.exit(done.stderr)
            one = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{count:8} {number:>7} {one['scan']:8.1f} {one.get('groups', 0):9.1f} {one['first_batch']:14.1f} "
                f"{one['steps_per_second']:8.1f} {one['rss_anon_mb']:11.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
