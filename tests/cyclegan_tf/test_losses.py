import numpy as np
import pytest
import tensorflow as tf

from common_tf.averaging import update_average
from common_tf.metrics.similarity.ssim import ssim
from cyclegan_tf.image_pool import ImagePool
from cyclegan_tf.losses import (
    ADVERSARIAL,
    edge_consistency,
    feature_distance,
    gram_matrix,
    l1,
    outside_head,
    patch_nce,
    ssim_loss,
    style_distance,
)
from cyclegan_tf.optimization import LinearDecay

REAL, FAKE = np.array([0.5, 2.0, -1.0], np.float32), np.array([0.0, -3.0, 0.25], np.float32)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x.astype(np.float64)))


@pytest.mark.parametrize(
    "name, generator, discriminator",
    [
        ("lsgan", np.mean((FAKE - 1) ** 2), 0.5 * (np.mean((REAL - 1) ** 2) + np.mean(FAKE**2))),
        (
            "bce",
            -np.mean(np.log(_sigmoid(FAKE))),
            -0.5 * (np.mean(np.log(_sigmoid(REAL))) + np.mean(np.log(1 - _sigmoid(FAKE)))),
        ),
        ("hinge", -np.mean(FAKE), 0.5 * (np.mean(np.maximum(0, 1 - REAL)) + np.mean(np.maximum(0, 1 + FAKE)))),
    ],
)
def test_adversarial_losses_equal_their_formulas(name, generator, discriminator):
    game = ADVERSARIAL[name]
    assert float(game.generator(tf.constant(FAKE))) == pytest.approx(generator, rel=1e-6)
    assert float(game.discriminator(tf.constant(REAL), tf.constant(FAKE))) == pytest.approx(discriminator, rel=1e-6)


def test_bce_equals_keras():
    keras = tf.keras.losses.BinaryCrossentropy(from_logits=True)
    assert float(ADVERSARIAL["bce"].generator(tf.constant(FAKE))) == pytest.approx(float(keras(np.ones(3), FAKE)))


@pytest.mark.parametrize("name", sorted(ADVERSARIAL))
def test_large_logits_stay_finite(name):
    logits = tf.constant([-1e4, 1e4])
    assert np.isfinite(ADVERSARIAL[name].generator(logits)) and np.isfinite(
        ADVERSARIAL[name].discriminator(logits, logits)
    )


def test_l1():
    assert float(l1(tf.constant([1.0, -1.0]), tf.constant([0.0, 1.0]))) == 1.5


def _pool(capacity=3):
    return ImagePool(capacity=capacity, shape=(1, 1, 1), seed=2, name="a")


def _exchange(pool, value, step):
    return float(pool.exchange(tf.constant(value, tf.float32, [1, 1, 1, 1]), tf.constant(step, tf.int64))[0, 0, 0, 0])


def test_pool_fills_first_then_swaps_half_of_the_time():
    pool = _pool(capacity=5)
    assert [_exchange(pool, value, value) for value in range(5)] == [0, 1, 2, 3, 4]
    old, seen = 0, set(range(5))
    for value in range(5, 405):
        before = set(pool.images.numpy().ravel().tolist())
        returned = _exchange(pool, value, value)
        after = set(pool.images.numpy().ravel().tolist())
        if returned != value:
            old += 1
            assert returned in before and returned not in after and value in after
        else:
            assert after == before
        seen.add(returned)
    assert 160 <= old <= 240  # 200 +- 4 sigma
    assert int(pool.count) == 5


def test_pool_slots_are_used_alike():
    pool = _pool(capacity=4)
    for value in range(4):
        _exchange(pool, value, value)
    replaced = np.zeros(4)
    for value in range(4, 804):
        before = pool.images.numpy().ravel()
        _exchange(pool, value, value)
        replaced += before != pool.images.numpy().ravel()
    assert replaced.min() > 70 and replaced.max() < 130  # 100 each


def test_pool_follows_from_seed_and_step():
    first, second = _pool(), _pool()
    values = [[_exchange(pool, value, value) for value in range(30)] for pool in (first, second)]
    assert values[0] == values[1]


def test_no_gradient_passes_through_the_pool():
    pool, variable = _pool(), tf.Variable([[[[1.0]]]])
    with tf.GradientTape() as tape:
        returned = pool.exchange(variable * 2.0, tf.constant(0, tf.int64))
    assert tape.gradient(returned, variable) is None


def test_a_pool_of_nothing_is_refused():
    with pytest.raises(ValueError):
        _pool(capacity=0)


def test_rate_is_the_papers():
    """2e-4 for 100 epochs, then linear to 0 at epoch 200."""
    steps = 10
    decay = LinearDecay(rate=2e-4, total_steps=200 * steps, decay_start=0.5)
    rates = [float(decay(tf.constant(epoch * steps, tf.int64))) for epoch in (0, 50, 100, 150, 200, 300)]
    np.testing.assert_allclose(rates, [2e-4, 2e-4, 2e-4, 1e-4, 0, 0], atol=1e-10)
    assert float(LinearDecay(rate=3e-4, total_steps=10, decay_start=1.0)(tf.constant(9))) == pytest.approx(3e-4)


def test_average_follows_the_weights():
    def network(value):
        model = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1, use_bias=False)])
        model.set_weights([np.array([[value]], np.float32)])
        return model

    average, model = network(0.0), network(1.0)
    update_average(average, model, decay=0.9, step=tf.constant(1000, tf.int64))
    assert average.get_weights()[0].item() == pytest.approx(0.1)
    # Early on the average moves faster: (1 + 0) / (10 + 0) of the old value is kept.
    update_average(average, model, decay=0.9, step=tf.constant(0, tf.int64))
    assert average.get_weights()[0].item() == pytest.approx(0.1 + 0.9 * 0.9)


def test_outside_the_head_only_brightness_counts():
    head = np.zeros((1, 4, 4, 1), np.float32)
    head[0, 1:3, 1:3] = 1
    fake = np.where(head > 0, 1.0, -1.0).astype(np.float32)
    assert float(outside_head(head, fake)) == 0
    fake[0, 0, 0] = 0.6
    assert float(outside_head(head, fake)) == pytest.approx(1.6 / 16)


@pytest.fixture
def images(random):
    return tf.constant(random.uniform(-1, 1, (2, 32, 32, 1)), tf.float32)


@pytest.mark.parametrize("loss", [ssim_loss, edge_consistency], ids=lambda f: f.__name__)
def test_zero_at_identity_positive_elsewhere_finite_on_constant_images(loss, images, random):
    assert float(loss(images, images)) == pytest.approx(0, abs=2e-3)
    other = tf.constant(random.uniform(-1, 1, images.shape), tf.float32)
    assert float(loss(images, other)) > 0.1
    np.testing.assert_allclose(loss(images, other), loss(other, images), rtol=1e-4)
    flat = tf.fill(images.shape, -1.0)
    for pair in ((flat, images), (images, flat), (flat, flat)):
        with tf.GradientTape() as tape:
            tape.watch(pair[1])
            value = loss(*pair)
        assert np.isfinite(value) and np.isfinite(tape.gradient(value, pair[1])).all()


def test_edges_do_not_ask_which_side_is_the_brighter(images):
    assert float(edge_consistency(images, -images)) == pytest.approx(0, abs=2e-3)
    assert float(edge_consistency(images, tf.roll(images, 7, axis=1))) > 0.3


def test_ssim_loss_equals_the_metric(images, random):
    other = tf.constant(random.uniform(-1, 1, images.shape), tf.float32)
    expected = 1 - ssim((images[..., 0].numpy() + 1) / 2, (other[..., 0].numpy() + 1) / 2).mean()
    assert float(ssim_loss(images, other)) == pytest.approx(expected, abs=1e-5)


def test_feature_and_style_distances(random):
    maps = [tf.constant(random.normal(size=shape), tf.float32) for shape in ((2, 6, 6, 5), (2, 3, 3, 7))]
    twice = [2 * one for one in maps]
    assert float(feature_distance(maps, maps)) == float(style_distance(maps, maps)) == 0
    assert float(feature_distance(maps, twice)) == pytest.approx(1, rel=1e-4)  # |x - 2x| / |x|
    assert float(style_distance(maps, twice)) == pytest.approx(9, rel=1e-4)  # |G - 4G|^2 / |G|^2
    shuffled = []
    for one in maps:
        flat = tf.reshape(one, [2, -1, one.shape[-1]])
        shuffled.append(tf.reshape(tf.gather(flat, random.permutation(flat.shape[1]), axis=1), one.shape))
    np.testing.assert_allclose(gram_matrix(shuffled[0]), gram_matrix(maps[0]), rtol=1e-4, atol=1e-6)
    assert float(style_distance(maps, shuffled)) < 1e-8 < float(feature_distance(maps, shuffled))
    flat = [tf.zeros_like(one) for one in maps]
    with tf.GradientTape() as tape:
        tape.watch(flat)
        value = feature_distance(flat, flat) + style_distance(flat, flat)
    assert all(np.isfinite(part).all() for part in tape.gradient(value, flat))


def test_patch_contrast_knows_a_patch_from_its_neighbours(random):
    keys = tf.math.l2_normalize(tf.constant(random.normal(size=(2, 20, 16)), tf.float32), axis=-1)
    own, others = float(patch_nce(keys, keys)), float(patch_nce(tf.roll(keys, 1, axis=1), keys))
    assert own < 0.1 < np.log(20) < others
    flat = tf.ones([1, 20, 16]) / 4
    assert float(patch_nce(flat, flat)) == pytest.approx(np.log(20), rel=1e-5)  # nothing to tell them by
