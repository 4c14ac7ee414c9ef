"""Named streams: two purposes can never draw alike."""

import ast
import contextlib
import importlib
import itertools
import pkgutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common_tf.randomness import Stream, declared_streams

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("common_tf", "cyclegan_tf", "detector_tf", "evaluation_tf")
SEEDS = (0, 1, 2, 1000, 2**31 - 1)
PARTS = ((), ("a",), ("b",), (0,), (1,), ("0",), ("a", 0), ("a", 1), ("a0",), (0, "a"), ("a", "b"), ("ab",))
STREAM = Stream("tests.one")


def _import_all(package: str) -> None:
    root = importlib.import_module(package)
    for found in pkgutil.walk_packages(root.__path__, f"{package}.", onerror=lambda name: None):
        with contextlib.suppress(ImportError, AttributeError):
            importlib.import_module(found.name)


@pytest.fixture(scope="module")
def streams():
    for package in PACKAGES:
        _import_all(package)
    return declared_streams()


def test_names_in_the_code_are_declared_once_and_plainly():
    """Without importing anything: every ``Stream`` is made of a name that stands there, and no name stands twice."""
    names = []
    for file in (file for package in PACKAGES for file in (REPOSITORY / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Stream":
                assert isinstance(node.args[0], ast.Constant), f"{file}: the name is computed"
                names.append(node.args[0].value)
    assert len(names) > 10 and len(set(names)) == len(names)


def test_all_pairs_of_streams_differ_in_every_key(streams):
    """Over seeds, qualifiers and purposes: no key is that of another."""
    assert {"splits", "bootstrap", "pipeline.order", "pipeline.augmentation", "backbone.weights"} <= set(streams)
    keys = {}
    for (name, stream), seed, parts in itertools.product(streams.items(), SEEDS, PARTS):
        key = stream.key(seed, *parts)
        assert keys.setdefault(key, (name, seed, parts)) == (name, seed, parts)
    assert len(keys) == len(streams) * len(SEEDS) * len(PARTS)
    # Also the shorter words that seeds of TensorFlow's operations and initialisers are made of.
    assert len({key[:8] for key in keys}) == len(keys)
    words = {(name, seed, parts): streams[name].integer(seed, *parts) for name, seed, parts in keys.values()}
    assert all(0 <= word < 2**31 for word in words.values())


def test_a_name_is_declared_once(streams):
    for name in ("tests.one", "bootstrap"):
        with pytest.raises(ValueError, match=f"a stream named {name} is declared already"):
            Stream(name)


def test_words_cannot_run_together():
    assert STREAM.key(1, "a\x1fstr:b") != STREAM.key(1, "a", "b")
    assert STREAM.key(1, 'a", "b') != STREAM.key(1, "a", "b")
    assert STREAM.key(1, 2) != STREAM.key(12) != STREAM.key(1, "2")


def test_numbers_of_numpy_are_numbers():
    assert STREAM.key(np.int32(3), np.int64(4), np.str_("a")) == STREAM.key(3, 4, "a")


def test_generators_follow_from_seed_and_words():
    first, again = (STREAM.numpy(5, "a", 1).standard_normal(8) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    for other in (STREAM.numpy(6, "a", 1), STREAM.numpy(5, "a", 2), STREAM.numpy(5, "b", 1)):
        assert not np.array_equal(first, other.standard_normal(8))


def test_streams_stay_what_they_are():
    """A change here would break the exact continuation of every run."""
    assert STREAM.key(7, "a", 1).hex()[:16] == "f3c19b592f3a83e1"
    assert STREAM.integer(7, "a", 1) == 751689977


def test_neighbouring_seeds_and_steps_draw_independently():
    draws = np.array([STREAM.numpy(seed).uniform(size=200) for seed in range(50)])
    correlations = np.corrcoef(draws) - np.eye(50)
    assert np.abs(correlations).max() < 0.35


@pytest.mark.parametrize("step", [0, 1, 123456789012])
def test_the_tensor_of_a_step_is_the_same_symbolic_or_not(step):
    expected = STREAM.tensor(3, step, "a").numpy()
    assert expected.dtype == np.int64 and expected.shape == (2,)
    np.testing.assert_array_equal(STREAM.tensor(3, tf.constant(step, tf.int64), "a"), expected)
    np.testing.assert_array_equal(
        tf.function(lambda at: STREAM.tensor(3, at, "a"))(tf.constant(step, tf.int64)), expected
    )
    draw = tf.random.stateless_uniform([4], expected)
    np.testing.assert_array_equal(draw, tf.random.stateless_uniform([4], STREAM.tensor(3, step, "a")))


def test_tensors_of_streams_seeds_and_steps_differ():
    other = Stream("tests.two")
    seeds = [
        stream.tensor(seed, step, *parts).numpy()
        for stream in (STREAM, other)
        for seed in (0, 1)
        for step in (0, 1)
        for parts in ((), ("a",))
    ]
    assert len({tuple(seed.tolist()) for seed in seeds}) == 16
    draws = {float(tf.random.stateless_uniform([], seed)) for seed in seeds}
    assert len(draws) == 16
