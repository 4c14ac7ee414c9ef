"""A step that several processes share is the step of one."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common_tf.replicas import JoinedReplicas, as_replica, replicas
from common_tf.runs.devices import cluster_environments
from tests.replicas.steps import DETECTORS, SYSTEMS

REPOSITORY = Path(__file__).resolve().parents[2]


# Where rounding is magnified: a softmax at a temperature of .07, Gram matrices of deep features. A batch of two and two
# of one go through other kernels; the mean of halves that one process computes one after another equals what two have
# to 2e-8 (2026-11-29, cyclegan3d, where the whole batch differs by up to 1e-2).
_MAGNIFIED = {"cut": 2e-4, "medgan": 5e-4}


# Minutes each, and their steps are those of cut and cyclegan: for them `python -m tests.replicas.steps OUTPUT CASE`.
_BY_HAND = {"fastcut", "cyclegan3d"}


class _Paper(JoinedReplicas):
    """One of two processes whose sums are worked out on paper: the other's tensors are given."""

    def __init__(self, index: int, *others):
        self.count, self.index, self._others = 2, index, list(others)

    def _sum(self, tensor):
        return tensor + self._others.pop(0)


def cluster(count: int) -> list[dict[str, str]]:
    """Environments of processes that find each other on this machine."""
    return [{**os.environ, **mine} for mine in cluster_environments(count)]


def test_alone_nothing_is_exchanged():
    tensor = tf.range(4.0)
    mine = replicas()
    assert mine.is_first and mine.count == 1
    assert mine.part(tensor) is mine.whole(tensor) is mine.step_mean(tensor) is tensor
    assert mine.any(True, False) == [True, False] and mine.are_alike(b"")


def test_parts_make_the_whole():
    step = tf.reshape(tf.range(8.0), (4, 2))
    parts = [_Paper(index).part(step) for index in range(2)]
    np.testing.assert_array_equal(np.concatenate(parts), step)
    for index in range(2):
        other = tf.pad(parts[1 - index], [[2, 0], [0, 0]] if index == 0 else [[0, 2], [0, 0]])
        np.testing.assert_array_equal(_Paper(index, other).whole(parts[index]), step)


def test_what_is_drawn_is_drawn_for_the_step():
    def draw(shape):
        return tf.random.stateless_uniform(shape, (1, 2))

    # Two kinds of images one after another: sources, then targets.
    whole = draw([8, 3]).numpy().reshape(2, 4, 3)
    for index in range(2):
        mine = _Paper(index)
        mine.part(tf.zeros((4, 1)))
        found = mine.drawn(draw, tf.constant([4, 3]))
        np.testing.assert_array_equal(found, whole[:, 2 * index : 2 * index + 2].reshape(4, 3))


def test_a_ratio_over_the_step_has_the_gradient_of_the_whole():
    values, weights = tf.constant([1.0, 2.0, 3.0, 5.0]), tf.constant([1.0, 0.0, 4.0, 2.0])

    factor = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(factor)
        wanted = tf.reduce_sum(values * factor) / tf.reduce_sum(weights * factor**2 + 1.0)
    right = tape.gradient(wanted, factor)
    halves = slice(0, 2), slice(2, 4)
    above = [3.0 * float(tf.reduce_sum(values[half])) for half in halves]
    below = [9.0 * float(tf.reduce_sum(weights[half])) + 2.0 for half in halves]
    gradients = []
    for index, half in enumerate(halves):
        mine = _Paper(index, above[1 - index], below[1 - index])
        with tf.GradientTape() as tape:
            tape.watch(factor)
            value = mine.step_mean(tf.reduce_sum(values[half] * factor))
            value /= mine.step_mean(tf.reduce_sum(weights[half] * factor**2 + 1.0))
        assert float(value) == pytest.approx(float(wanted))
        gradients.append(float(tape.gradient(value, factor)))
    assert gradients[0] != pytest.approx(gradients[1])
    assert np.mean(gradients) == pytest.approx(float(right))


def test_losses_and_gradients_go_as_one():
    mine, other = [tf.constant(2.0), tf.constant([[1.0, 3.0]])], tf.constant([4.0, 5.0, 5.0])
    first, second = _Paper(0, other).mean(mine)
    assert float(first) == 3.0
    np.testing.assert_array_equal(second, [[3.0, 4.0]])


def test_bits_of_every_type_arrive():
    given = [np.array([np.inf, -0.0, 1 / 3]), np.array([[2**40, -1]]), np.array([7], np.uint8), np.zeros((0, 2))]
    content = b"".join(one.tobytes() for one in given)
    mine = _Paper(1, tf.constant(np.frombuffer(content + bytes(len(content) % 2), np.uint16), tf.float32))
    mine._summed = mine._sum
    for found, wanted in zip(mine.of_first([np.ones_like(one) for one in given]), given):
        assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes() and found.shape == wanted.shape


def test_as_replica_ends():
    with as_replica(_Paper(1)) as mine:
        assert replicas() is mine and not replicas().is_first
    assert replicas().count == 1


def _steps(output: Path, case: str, environment: dict[str, str]) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.replicas.steps", str(output), case]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.more
@pytest.mark.parametrize("case", sorted({*SYSTEMS, *DETECTORS} - _BY_HAND))
def test_two_processes_equal_one(case, tmp_path):
    one, two = tmp_path / "one.npz", tmp_path / "two.npz"
    processes = [_steps(one, case, dict(os.environ)), *(_steps(two, case, mine) for mine in cluster(2))]
    said = [process.communicate(timeout=900)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], said
    with np.load(one) as wanted, np.load(two) as found:
        assert set(wanted.files) == set(found.files)
        norms: dict[str, float] = {}
        for name in wanted.files:
            network = name.split("|")[1].split()[1] if "|gradient" in name else name
            norms[network] = norms.get(network, 0.0) + float(np.sum(np.square(wanted[name], dtype=np.float64)))
        for name in wanted.files:
            network = name.split("|")[1].split()[1] if "|gradient" in name else name
            error = np.sqrt(
                np.sum(np.square(wanted[name] - found[name], dtype=np.float64)) / max(norms[network], 1e-12)
            )
            if "float16" not in case:
                assert error < (1e-2 if "|last" in name else _MAGNIFIED.get(case, 1e-5) if "|gr" in name else 1e-5), (
                    name
                )
            elif "|gradient" not in name:
                # Its gradients overflow or not by how many images a process has; the scale of the loss settles it.
                assert error < 1e-2, name
