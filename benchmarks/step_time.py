#!/usr/bin/env python3
"""Times one training step of each preset beside the notebook's own step, interleaved in one run.

    python benchmarks/step_time.py [--rounds 7] [--presets fast notebook paper] [--output table.json]
    python benchmarks/step_time.py --systems                         each system in ``fast`` size beside CycleGAN's step
    python benchmarks/step_time.py --systems --models cyclegan --other .venv-current/bin/python        both lanes

Each row is measured in a process of its own that waits for its turn, so that peak memory is that row's alone and no two
steps run at once; a round times every row once, so that a slow moment of the machine falls on all of them. Printed:
ratio of the medians and of the minima to the first row's step, minimum, median, and peak memory.
"""

import argparse
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)

BASELINE = "the notebook's own step"


def _row_step(name: str):
    """The step of a row as a function of no arguments, and a description."""
    import numpy as np
    import tensorflow as tf

    images = np.random.default_rng(0).uniform(-1, 1, (2, 1, 256, 256, 3)).astype(np.float32)
    if name == BASELINE:
        from notebook_step import NotebookStep

        step = NotebookStep()
        a, b = tf.constant(images[0]), tf.constant(images[1])
        return lambda: float(step(a, b)), "float32"
    from common_tf.arithmetic import precision_policy
    from common_tf.threads import use_threads_for_two_halves
    from cyclegan_tf.config import make_config
    from cyclegan_tf.systems import system_class

    use_threads_for_two_halves()
    words, _, precision = name.partition(", ")
    preset, _, model = words.partition(" ")
    given = {"preset": preset, "model": model or "cyclegan", "precision": precision or "auto"}
    config = make_config(given)
    policy = precision_policy(config.optimisation.precision)
    translator = system_class(config.model)(config, policy=policy, total_steps=1000)
    batch = {key: tf.constant(images[i][..., : config.data.image_channels]) for i, key in enumerate("ab")}
    batch |= {f"mask_{key}": tf.ones((1, 256, 256, 1)) for key in "ab"}
    numbers = itertools.count()

    def run() -> float:
        losses = translator.train_step(batch, tf.constant(next(numbers), tf.int64))
        return sum(float(value) for value in losses.values())

    return run, policy


def _serve(name: str) -> None:
    """One row: times a step for each line of standard input, and says its memory at the end."""
    step, policy = _row_step(name)
    step()
    step()
    print(json.dumps(policy), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        step()
        print(json.dumps(time.perf_counter() - began), flush=True)
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10), flush=True)


class _Row:
    """A row's process."""

    def __init__(self, name: str, python: str):
        words = [python, __file__, "--serve", name]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.policy, self.seconds = self._read(), []

    def time(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.seconds.append(self._read())

    def memory(self) -> float:
        self._process.stdin.close()
        return self._read()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a row ended before it was measured; see above")
        return json.loads(line)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="times each row is timed (default: %(default)s)")
    parser.add_argument("--presets", nargs="+", default=["fast", "notebook", "notebook, float32", "paper"])
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--systems", action="store_true", help="time the translation systems instead of the presets")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="which of them (default: all)")
    parser.add_argument("--other", metavar="PYTHON", help="time every row a second time with this interpreter")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        return _serve(arguments.serve)
    names = [BASELINE, *arguments.presets]
    if arguments.systems:
        from cyclegan_tf.systems import system_names

        models = ("cyclegan", *(model for model in system_names() if model != "cyclegan"))
        names = [f"fast {model}" for model in arguments.models or models]
    rows = {name: _Row(name, sys.executable) for name in names}
    if arguments.other:
        rows |= {f"{name}, {arguments.other}": _Row(name, arguments.other) for name in names}
    for _ in range(arguments.rounds):
        for row in rows.values():
            row.time()
    base = rows[names[0]].seconds
    table = []
    for name, row in rows.items():
        seconds = row.seconds
        table.append(
            {
                "step": name,
                "precision": row.policy,
                "ratio_of_medians": round(statistics.median(seconds) / statistics.median(base), 3),
                "ratio_of_minima": round(min(seconds) / min(base), 3),
                "minimum_s": round(min(seconds), 3),
                "median_s": round(statistics.median(seconds), 3),
                "peak_memory_mb": round(row.memory()),
            }
        )
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, 256x256, batch 1, {arguments.rounds} rounds")
    print(f"{'step':46}{'precision':16}{'ratio':>8}{'(min)':>8}{'min s':>8}{'median s':>10}{'peak MB':>9}")
    for line in table:
        print(
            f"{line['step']:46}{line['precision']:16}{line['ratio_of_medians']:8.3f}{line['ratio_of_minima']:8.3f}"
            f"{line['minimum_s']:8.3f}{line['median_s']:10.3f}{line['peak_memory_mb']:9}"
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
