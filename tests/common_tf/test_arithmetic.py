import numpy as np
import pytest
import tensorflow as tf

from common_tf import arithmetic
from common_tf.arithmetic import LossScale, precision_policy


def test_a_named_precision_is_its_policy_and_auto_asks_the_machine(monkeypatch):
    names = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
    assert {name: precision_policy(name) for name in names} == names
    monkeypatch.setattr(arithmetic.tf.config, "get_visible_devices", lambda kind: [])
    for has, policy in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr(arithmetic, "cpu_has_bfloat16", lambda has=has: has)
        assert precision_policy("auto") == policy
    monkeypatch.setattr(arithmetic, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(arithmetic.tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    assert precision_policy("auto") == "float32"


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_without_float16_nothing_is_scaled_or_kept(policy):
    scale = LossScale(policy)
    loss, gradients = tf.constant(3.0), [tf.constant([1.0, float("nan")])]
    made = []
    assert scale.up(loss) is loss and scale.down(gradients)[0] is gradients[0]
    scale.when_finite(gradients, lambda: made.append(1))
    assert made == [1] and not scale.variables


@pytest.fixture
def scale():
    return LossScale("mixed_float16", initial=1024.0, patience=3)


def test_gradients_come_back_exactly(scale, random):
    weight = tf.Variable(random.standard_normal((5, 4)).astype(np.float32))
    inputs = tf.constant(random.standard_normal((3, 5)).astype(np.float32))

    def gradient(scaled):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(inputs @ weight))
            loss = scale.up(loss) if scaled else loss
        return tape.gradient(loss, [weight])

    np.testing.assert_array_equal(scale.down(gradient(True))[0], gradient(False)[0])


def test_a_gradient_too_small_for_float16_survives(scale):
    """One that vanishes without the scale."""
    value = tf.Variable(1.0)

    def gradient(scaled):
        with tf.GradientTape() as tape:
            half = tf.cast(value, tf.float16) * tf.constant(2e-5, tf.float16)
            loss = tf.cast(half, tf.float32) * 2e-4
            loss = scale.up(loss) if scaled else loss
        return tape.gradient(loss, [value])

    assert float(gradient(False)[0]) == 0
    assert float(scale.down(gradient(True))[0]) == pytest.approx(4e-9, rel=0.02)


@pytest.mark.parametrize("in_a_graph", [False, True])
def test_one_gradient_that_is_not_finite_leaves_the_whole_step_out_and_halves_the_scale(scale, in_a_graph):
    first, second = tf.Variable(0.0), tf.Variable(0.0)

    def step(gradients):
        def update():
            first.assign_add(gradients[0])
            second.assign_add(gradients[1])

        scale.when_finite(gradients, update)

    run = tf.function(step) if in_a_graph else step
    for bad in (float("inf"), float("nan")):
        run([tf.constant(1.0), tf.constant(bad)])
    assert float(first) == float(second) == 0
    assert float(scale.scale) == 256 and int(scale.good_steps) == 0
    run([tf.constant(1.0), tf.constant(2.0)])
    assert (float(first), float(second)) == (1, 2)
    assert float(scale.scale) == 256 and int(scale.good_steps) == 1


def test_the_scale_doubles_after_patience_and_a_bad_step_begins_it_anew(scale):
    def step(value):
        scale.when_finite([tf.constant(value)], lambda: None)
        return float(scale.scale)

    assert [step(1.0) for _ in range(6)] == [1024, 1024, 2048, 2048, 2048, 4096]
    assert [step(1.0), step(1.0), step(float("nan")), step(1.0), step(1.0), step(1.0)] == [
        4096,
        4096,
        2048,
        2048,
        2048,
        4096,
    ]


def test_the_scale_never_falls_below_1_and_never_becomes_infinite():
    scale = LossScale("mixed_float16", initial=1.0, patience=1)
    scale.when_finite([tf.constant(float("nan"))], lambda: None)
    assert float(scale.scale) == 1
    for _ in range(40):
        scale.when_finite([tf.constant(0.0)], lambda: None)
    assert float(scale.scale) == 2.0**24


def test_scale_and_patience_are_saved_with_a_run(scale, tmp_path):
    scale.when_finite([tf.constant(1.0)], lambda: None)
    scale.scale.assign(64.0)
    path = tf.train.Checkpoint(scale=scale).save(str(tmp_path / "c"))
    other = LossScale("mixed_float16")
    tf.train.Checkpoint(scale=other).restore(path).expect_partial()
    assert float(other.scale) == 64 and int(other.good_steps) == 1
