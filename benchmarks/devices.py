#!/usr/bin/env python3
"""Times a step that several processes share beside the same step of one, interleaved in one run.

    python benchmarks/devices.py [--preset fast] [--image-size 256] [--batch-size 2] [--processes 2] [--rounds 15]
    python benchmarks/devices.py --estimate [--bytes 12e6] [--step 0.2]      what 1 to 64 devices would do, on paper

The processes are on this machine's CPU, each on its share of the cores. That shows whether sharing works and what it
costs, not how fast GPUs are: the cores that compute alone are the cores that compute together.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import common_tf  # noqa: F401  (sets the logging level before TensorFlow is imported)
from common_tf.runs.devices import cluster_environments

_ALONE, _EXCHANGING = "alone", "one process, exchanging with itself"


def _serve(arguments: argparse.Namespace) -> None:
    """One process of a row: makes a step for each line of standard input."""
    import numpy as np
    import tensorflow as tf

    from common_tf.arithmetic import precision_policy
    from common_tf.replicas import JoinedReplicas, as_replica, replicas
    from common_tf.threads import use_threads_for_two_halves
    from cyclegan_tf.config import make_config
    from cyclegan_tf.systems import system_class

    use_threads_for_two_halves()
    size, batch_size = arguments.image_size, arguments.batch_size
    mine = replicas()
    if arguments.serve != _ALONE:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
        mine = JoinedReplicas(strategy, index=arguments.index, batch_size=batch_size)
    with as_replica(mine):
        config = make_config({"preset": arguments.preset, "image_size": size, "batch_size": batch_size})
        policy = precision_policy(config.optimisation.precision)
        translator = system_class(config.model)(config, policy=policy, total_steps=1000)
        images = np.random.default_rng(0).uniform(-1, 1, (2, batch_size, size, size, config.data.image_channels))
        batch = {key: tf.constant(images[i], tf.float32) for i, key in enumerate("ab")}
        batch |= {f"mask_{key}": tf.ones((batch_size, size, size, 1)) for key in "ab"}
        numbers = itertools.count()

        def step() -> None:
            losses = translator.train_step(batch, tf.constant(next(numbers), tf.int64))
            assert np.isfinite(sum(float(value) for value in losses.values()))

        step()
        step()
        count = sum(int(np.prod(variable.shape)) for variable in translator.trained())
        print(json.dumps({"policy": policy, "bytes": 4 * count}), flush=True)
        for _ in sys.stdin:
            step()
            print("", flush=True)


class _Row:
    """The processes of a row."""

    def __init__(self, name: str, count: int, words: list[str]):
        self.seconds: list[float] = []
        cores = sorted(os.sched_getaffinity(0))
        self._processes = []
        for index, cluster in enumerate(cluster_environments(count)):
            environment = {**os.environ, **(cluster if count > 1 else {})}
            command = [sys.executable, __file__, *words, "--serve", name, "--index", str(index)]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            os.sched_setaffinity(process.pid, cores[index::count] or cores)
            self._processes.append(process)
        self.facts = [json.loads(self._answer(process)) for process in self._processes][0]

    def time(self) -> None:
        """A step of all."""
        began = time.perf_counter()
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in self._processes:
            self._answer(process)
        self.seconds.append(time.perf_counter() - began)

    def end(self) -> None:
        """All of them."""
        for process in self._processes:
            process.communicate()

    @staticmethod
    def _answer(process: subprocess.Popen) -> str:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SystemExit(f"a process ended with code {process.wait()}")
        return line


def estimate(*, step: float, gradient_bytes: float, gigabits: float, devices: int) -> float:
    """Seconds of a step on several devices, each with as many images as one has, by a ring all-reduce.

    A device sends and receives ``2 (N - 1) / N`` times the gradients (Patarasu and Yuan 2009); nothing overlaps, for
    all gradients go as one.

    Args:
        step: seconds of one device.
        gradient_bytes: of a step.
        gigabits: a second, of a device's link.
        devices: N.
    """
    return step + 2 * (devices - 1) / devices * gradient_bytes * 8 / (gigabits * 1e9)


def _print_estimate(step: float, gradient_bytes: float) -> None:
    print(
        f"a step of {step:g} s on one device, {gradient_bytes / 1e6:.1f} MB of gradients; times as many images a second"
    )
    print("| devices | 1 Gbit/s | 10 Gbit/s | 100 Gbit/s |\n|---|---|---|---|")
    for devices in (1, 2, 4, 8, 16, 32, 64):
        gains = [
            devices * step / estimate(step=step, gradient_bytes=gradient_bytes, gigabits=link, devices=devices)
            for link in (1, 10, 100)
        ]
        print(f"| {devices} | " + " | ".join(f"{gain:.1f}" for gain in gains) + " |")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=2, help="images of a step, of all processes")
    parser.add_argument("--processes", type=int, nargs="+", default=[2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--estimate", action="store_true")
    parser.add_argument("--bytes", type=float, default=12e6, help="of gradients, for --estimate (default: %(default)g)")
    parser.add_argument("--step", type=float, default=0.2, help="seconds on one device, for --estimate")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--index", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        _serve(arguments)
        return
    if arguments.estimate:
        _print_estimate(arguments.step, arguments.bytes)
        return
    words = ["--preset", arguments.preset, "--image-size", str(arguments.image_size)]
    words += ["--batch-size", str(arguments.batch_size)]
    counts = {_ALONE: 1, _EXCHANGING: 1, **{f"{count} processes": count for count in arguments.processes}}
    rows = {name: _Row(name, count, words) for name, count in counts.items()}
    for _ in range(arguments.rounds):
        for row in rows.values():
            row.time()
    for row in rows.values():
        row.end()
    first = rows[_ALONE]
    print(
        f"{date.today()}, preset {arguments.preset}, {arguments.image_size} px, {arguments.batch_size} images a step, "
        f"{first.facts['policy']}, {first.facts['bytes'] / 1e6:.1f} MB of gradients, {arguments.rounds} rounds, "
        f"{len(os.sched_getaffinity(0))} cores"
    )
    print("| | ratio of medians | of minima | minimum, s | median, s |\n|---|---|---|---|---|")
    for name, row in rows.items():
        median, least = statistics.median(row.seconds), min(row.seconds)
        ratios = f"{median / statistics.median(first.seconds):.2f} | {least / min(first.seconds):.2f}"
        print(f"| {name} | {ratios} | {least:.3f} | {median:.3f} |")


if __name__ == "__main__":
    main()
