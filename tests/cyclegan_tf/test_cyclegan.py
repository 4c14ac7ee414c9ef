import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from cyclegan_tf.config import PRESETS, make_config
from cyclegan_tf.losses import ADVERSARIAL
from cyclegan_tf.translators import build_translator
from cyclegan_tf.translators.base import A_TO_B, B_TO_A

PLAIN = dict(cycle_weight=10.0, cycle_ramp=0.0, cycle_flips=False, outline_weight=0.0)
SMALL = dict(image_size=32, generator_filters=4, discriminator_filters=4, precision="float32", steps=100)


def _build(**given):
    return build_translator(make_config({**SMALL, **given}), policy="float32", total_steps=100)


def _batch(size=32, channels=1, batch=1, seed=0):
    """Domain A is dark, domain B is bright, both textured."""
    random = np.random.default_rng(seed)
    texture = random.uniform(-0.2, 0.2, (2, batch, size, size, 1)).repeat(channels, axis=-1).astype(np.float32)
    return {"a": tf.constant(texture[0] - 0.6), "b": tf.constant(texture[1] + 0.6)}


def _train(translator, steps):
    for step in range(steps):
        losses = translator.train_step(_batch(seed=step), tf.constant(step, tf.int64))
    return {name: float(value) for name, value in losses.items()}


def _points_the_right_way(translator) -> bool:
    """Whether a_to_b makes dark images bright and b_to_a bright ones dark."""
    batch = _batch(seed=999)
    brightened = float(tf.reduce_mean(translator.translate(batch["a"], A_TO_B)))
    darkened = float(tf.reduce_mean(translator.translate(batch["b"], B_TO_A)))
    return brightened > 0.2 and darkened < -0.2


def test_directions_and_that_swapped_generators_fail():
    """The notebook trains one generator as CT to MRI and shows the other; here that cannot happen unseen."""
    translator = _build(learning_rate=2e-3, generator="light", ema_decay=0.5, decay_start=1.0)
    _train(translator, 80)
    assert _points_the_right_way(translator)
    networks = translator.inference_networks()
    translator.averages = {A_TO_B: networks[B_TO_A], B_TO_A: networks[A_TO_B]}
    assert not _points_the_right_way(translator)


@pytest.mark.parametrize("generator, adversarial", [("light", "lsgan"), ("resnet6", "bce"), ("unet", "hinge")])
def test_every_network_learns(generator, adversarial):
    translator = _build(generator=generator, adversarial=adversarial, identity_weight=5.0, pool_size=2)
    trained = (translator.a_to_b, translator.b_to_a, translator.critic_a, translator.critic_b)
    before = {network.name: network.get_weights() for network in trained}
    losses = _train(translator, 2)
    assert all(np.isfinite(value) for value in losses.values())
    for network in trained:
        changed = [not np.array_equal(a, b) for a, b in zip(before[network.name], network.get_weights())]
        assert np.mean(changed) > 0.5, network.name


def test_losses_equal_their_formulas():
    """One step from known weights, each loss computed again from single forward passes."""
    translator = _build(
        generator="resnet6", identity_weight=5.0, pool_size=3, adversarial="lsgan", batch_size=2, **PLAIN
    )
    batch = _batch(batch=2)
    a, b = batch["a"], batch["b"]
    fake_b, fake_a = translator.a_to_b(a), translator.b_to_a(b)
    game = ADVERSARIAL["lsgan"]
    expected = {
        "adversarial_a_to_b": game.generator(translator.critic_b(fake_b)),
        "adversarial_b_to_a": game.generator(translator.critic_a(fake_a)),
        "cycle_a": tf.reduce_mean(tf.abs(translator.b_to_a(fake_b) - a)),
        "cycle_b": tf.reduce_mean(tf.abs(translator.a_to_b(fake_a) - b)),
        "identity_a": tf.reduce_mean(tf.abs(translator.b_to_a(a) - a)),
        "identity_b": tf.reduce_mean(tf.abs(translator.a_to_b(b) - b)),
        # The empty pool returns the new fakes.
        "critic_a": game.discriminator(translator.critic_a(a), translator.critic_a(fake_a)),
        "critic_b": game.discriminator(translator.critic_b(b), translator.critic_b(fake_b)),
    }
    expected = {name: float(value) for name, value in expected.items()}
    got = {name: float(value) for name, value in translator.train_step(batch, tf.constant(0, tf.int64)).items()}
    assert got == pytest.approx(expected, rel=1e-4)


def _gradient_step(translator, batch):
    """The update of a step, read off the first Adam moments: m = (1 - beta_1) gradient."""
    translator.train_step(batch, tf.constant(0, tf.int64))
    return {name: [m.numpy() / 0.5 for m in optimizer._momentums] for name, optimizer in translator.optimizers.items()}


@pytest.mark.parametrize("pool_size", [0, 2])
def test_gradients_are_those_of_the_formulation(pool_size):
    """Each network's gradient equals that of its own total loss, as the paper writes it, network by network."""
    translator = _build(generator="resnet6", identity_weight=5.0, pool_size=pool_size, ema_decay=0.0, **PLAIN)
    batch, game = _batch(), ADVERSARIAL["lsgan"]
    a, b = batch["a"], batch["b"]
    g, f, d_a, d_b = translator.a_to_b, translator.b_to_a, translator.critic_a, translator.critic_b
    with tf.GradientTape(persistent=True) as tape:
        fake_b, fake_a = g(a), f(b)
        cycle = tf.reduce_mean(tf.abs(f(fake_b) - a)) + tf.reduce_mean(tf.abs(g(fake_a) - b))
        totals = {
            g: game.generator(d_b(fake_b)) + 10 * cycle + 5 * tf.reduce_mean(tf.abs(g(b) - b)),
            f: game.generator(d_a(fake_a)) + 10 * cycle + 5 * tf.reduce_mean(tf.abs(f(a) - a)),
            d_a: game.discriminator(d_a(a), d_a(tf.stop_gradient(fake_a))),
            d_b: game.discriminator(d_b(b), d_b(tf.stop_gradient(fake_b))),
        }
    expected = {network.name: tape.gradient(total, network.trainable_variables) for network, total in totals.items()}
    got = _gradient_step(translator, batch)
    for name, gradients in expected.items():
        ours, theirs = (np.concatenate([np.ravel(g) for g in side]) for side in (got[name], gradients))
        assert np.linalg.norm(ours - theirs) < 1e-3 * np.linalg.norm(theirs), name


def test_no_weight_has_more_than_two_gradient_contributions():
    """Three or more would be summed in an order chosen at run time, and training would not be reproducible."""
    translator = _build(generator="unet", identity_weight=5.0, pool_size=2)
    graph = translator.train_step.get_concrete_function(_batch(), tf.constant(0, tf.int64)).graph
    assert max(len(node.inputs) for node in graph.get_operations() if node.type == "AddN") <= 2


def test_cycle_with_flips_sees_a_shift():
    """Generators that move the picture to and fro have a perfect plain cycle, and a bad one with flips."""

    def shift(pixels):
        return lambda images, training=False: tf.roll(images, pixels, axis=2)

    costs = {}
    for flips in (False, True):
        translator = _build(**{**PLAIN, "cycle_flips": flips, "pool_size": 0, "ema_decay": 0.0})
        found = []
        for step in range(8):
            flip = translator.cycle_flip(tf.constant(step, tf.int64))
            image = _batch(seed=step)["a"]
            cycled = shift(-2)(flip(shift(2)(image)))
            found.append(float(tf.reduce_mean(tf.abs(cycled - flip(image)))))
        costs[flips] = found
    assert max(costs[False]) == 0
    # Of four equally likely flips, two turn left and right.
    assert 2 <= np.count_nonzero(costs[True]) <= 7 and max(costs[True]) > 0.1


def test_cycle_weight_rises():
    translator = _build(cycle_weight=5.0, cycle_weight_start=1.0, cycle_ramp=0.5)
    steps = [tf.constant(step, tf.int64) for step in (0, 25, 50, 99)]
    assert [float(translator.cycle_weight(step)) for step in steps] == pytest.approx([1, 3, 5, 5])
    assert float(_build(**PLAIN).cycle_weight(tf.constant(0, tf.int64))) == 10


def test_presets_are_what_they_say():
    paper = make_config({"preset": "paper"})
    assert (paper.generator, paper.adversarial, paper.pool_size, paper.epochs) == ("resnet9", "lsgan", 50, 200)
    assert (paper.cycle_weight, paper.identity_weight, paper.learning_rate, paper.beta_1) == (10, 5, 2e-4, 0.5)
    assert (paper.decay_start, paper.batch_size, paper.jitter) == (0.5, 1, 286 / 256)
    notebook = make_config({"preset": "notebook"})
    assert (notebook.generator, notebook.adversarial, notebook.channels, notebook.pool_size) == ("unet", "bce", 3, 0)
    assert (notebook.epochs, notebook.save_every, notebook.keep_checkpoints, notebook.decay_start) == (50, 5, 5, 1)
    assert notebook.save_every_steps == 0 and notebook.tutorial_bottleneck
    for config in (paper, notebook):
        assert (config.cycle_ramp, config.cycle_flips, config.outline_weight) == (0, False, 0)
    dlmi = make_config({"preset": "dlmi"})
    assert (dlmi.cycle_weight, dlmi.ssim_cycle_weight, dlmi.perceptual_weight, dlmi.identity_weight) == (0, 0.5, 1.5, 0)
    assert (dlmi.learning_rate, dlmi.critic_learning_rate, dlmi.critic_share, dlmi.batch_size) == (1e-4, 1e-3, 0.25, 2)
    assert make_config({"preset": "field-strength"}).domain_names == ("MRI15T", "MRI3T")
    unit = make_config({"model": "unit", "preset": "paper"})
    assert (unit.adversarial_weight, unit.reconstruction_weight, unit.cycle_weight, unit.kl_weight) == (
        10,
        100,
        100,
        0.1,
    )
    assert set(PRESETS) == {"fast", "paper", "notebook", "dlmi", "field-strength"}


def test_notebook_has_four_adams_and_its_discriminator():
    translator = _build(preset="notebook", image_size=32, generator_filters=2, discriminator_filters=2, epochs=0)
    assert len(translator.optimizers) == 4
    assert not translator.pools and not translator.averages
    losses = translator.train_step(_batch(channels=3), tf.constant(0, tf.int64))
    assert "unpaired_mse" in losses


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(steps=5, epochs=5), "give one of them"),
        (dict(steps=0), "give one of them a length"),
        (dict(image_size=68), "multiple of 8"),
        (dict(image_size=16), "32 or more"),
        (dict(image_size=96, generator="unet"), "power of two"),
        (dict(domains="CT"), "two different words"),
        (dict(domains="CT,CT"), "two different words"),
        (dict(domains="T1,T2"), "without the digit 2"),
        (dict(preset="slow"), "--preset slow"),
        (dict(model="slow"), "--model slow"),
        (dict(ema_decay=1.0), "below 1"),
        (dict(batch_size=0), "--batch-size 0"),
    ],
)
def test_contradictions_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        make_config(given)


def test_an_explicit_budget_wins_over_the_presets():
    assert make_config({"preset": "paper", "steps": 7}).epochs == 0
    assert make_config({"preset": "fast", "epochs": 3}).steps == 0
