#!/usr/bin/env python3
"""Times one training step of each preset beside the notebook's own step, interleaved in one run.

    python benchmarks/step_time.py [--rounds 7] [--presets fast notebook paper] [--output table.json]
    python benchmarks/step_time.py --systems [--extractor RUN]       each system in ``fast`` size beside CycleGAN's step

Each row is measured in a process of its own that waits for its turn, so that peak memory is that row's alone and no two
steps run at once; a round times every row once, so that a slow moment of the machine falls on all of them. Printed:
ratio of the medians and of the minima to the first row's step, minimum, median, and peak memory.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import platform
import resource
import statistics
import time
from datetime import date
from pathlib import Path

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)

BASELINE = "the notebook's own step"


def _row_step(name: str, extractor: str):
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
    config = make_config(given | ({"extractor": extractor} if model == "medgan" else {}))
    policy = precision_policy(config.optimisation.precision)
    translator = system_class(config.model)(config, policy=policy, total_steps=1000)
    batch = {key: tf.constant(images[i][..., : config.data.channels]) for i, key in enumerate("ab")}
    batch |= {f"mask_{key}": tf.ones((1, 256, 256, 1)) for key in "ab"}
    numbers = itertools.count()

    def run() -> float:
        losses = translator.train_step(batch, tf.constant(next(numbers), tf.int64))
        return sum(float(value) for value in losses.values())

    return run, policy


def _serve(name: str, extractor: str, pipe) -> None:
    step, policy = _row_step(name, extractor)
    step()
    step()
    pipe.send(policy)
    while pipe.recv():
        began = time.perf_counter()
        step()
        pipe.send(time.perf_counter() - began)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10)


def main() -> None:
    """Measures and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="times each row is timed (default: %(default)s)")
    parser.add_argument("--presets", nargs="+", default=["fast", "notebook", "notebook, float32", "paper"])
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    parser.add_argument("--systems", action="store_true", help="time the translation systems instead of the presets")
    parser.add_argument("--extractor", default="", metavar="RUN", help="detector's run, for medgan")
    arguments = parser.parse_args()
    names = [BASELINE, *arguments.presets]
    if arguments.systems:
        from cyclegan_tf.systems import system_names

        models = ("cyclegan", *(model for model in system_names() if model != "cyclegan"))
        names = [f"fast {model}" for model in models if model != "medgan" or arguments.extractor]
    context = multiprocessing.get_context("spawn")
    rows = {}
    for name in names:
        near, far = context.Pipe()
        process = context.Process(target=_serve, args=(name, arguments.extractor, far), daemon=True)
        process.start()
        far.close()  # so that a row that dies ends the run instead of blocking it
        rows[name] = dict(pipe=near, process=process, policy=near.recv(), seconds=[])
    for _ in range(arguments.rounds):
        for row in rows.values():
            row["pipe"].send(True)
            row["seconds"].append(row["pipe"].recv())
    for row in rows.values():
        row["pipe"].send(False)
        row["memory"] = row["pipe"].recv()
        row["process"].join()
    base = rows[names[0]]["seconds"]
    table = []
    for name, row in rows.items():
        seconds = row["seconds"]
        table.append(
            {
                "step": name,
                "precision": row["policy"],
                "ratio_of_medians": round(statistics.median(seconds) / statistics.median(base), 3),
                "ratio_of_minima": round(min(seconds) / min(base), 3),
                "minimum_s": round(min(seconds), 3),
                "median_s": round(statistics.median(seconds), 3),
                "peak_memory_mb": round(row["memory"]),
            }
        )
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}, 256x256, batch 1, {arguments.rounds} rounds")
    print(f"{'step':26}{'precision':16}{'ratio':>8}{'(min)':>8}{'min s':>8}{'median s':>10}{'peak MB':>9}")
    for line in table:
        print(
            f"{line['step']:26}{line['precision']:16}{line['ratio_of_medians']:8.3f}{line['ratio_of_minima']:8.3f}"
            f"{line['minimum_s']:8.3f}{line['median_s']:10.3f}{line['peak_memory_mb']:9}"
        )
    if arguments.output:
        arguments.output.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
