import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.runs.config import values_of
from cyclegan_tf.config import make_config
from cyclegan_tf.directions import A_TO_B, B_TO_A
from cyclegan_tf.losses import ADVERSARIAL
from cyclegan_tf.systems import system_class, system_names, system_settings

PLAIN = dict(cycle_weight=10.0, cycle_ramp=0.0, cycle_flips="false", outline_weight=0.0)
SMALL = dict(image_size=32, generator_filters=4, discriminator_filters=4, precision="float32", steps=100)


def _build(policy="float32", **given):
    config = make_config({**SMALL, **given})
    return system_class(config.model)(config, policy=policy, total_steps=100)


def _batch(size=32, channels=1, batch=1, seed=0):
    """Domain A is dark, domain B is bright, both textured."""
    random = np.random.default_rng(seed)
    texture = random.uniform(-0.2, 0.2, (2, batch, size, size, 1)).repeat(channels, axis=-1).astype(np.float32)
    heads = {f"mask_{name}": tf.ones([batch, size, size, 1]) for name in "ab"}
    return {"a": tf.constant(texture[0] - 0.6), "b": tf.constant(texture[1] + 0.6), **heads}


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


def _values(**given):
    return values_of(make_config(given))


def test_presets_are_what_they_say():
    paper = _values(preset="paper")
    wanted = dict(
        generator="resnet9", adversarial="lsgan", pool_size=50, epochs=200, cycle_weight=10, identity_weight=5
    )
    wanted |= dict(learning_rate=2e-4, beta_1=0.5, decay_start=0.5, batch_size=1, jitter=286 / 256)
    assert wanted.items() <= paper.items()
    notebook = _values(preset="notebook")
    wanted = dict(generator="unet", adversarial="bce", channels=3, pool_size=0, epochs=50, save_every=5)
    wanted |= dict(keep_checkpoints=5, decay_start=1, save_every_steps=0, tutorial_bottleneck=True)
    assert wanted.items() <= notebook.items()
    for values in (paper, notebook):
        assert (values["cycle_ramp"], values["cycle_flips"], values["outline_weight"]) == (0, False, 0)
    dlmi = _values(preset="dlmi")
    wanted = dict(cycle_weight=0, ssim_cycle_weight=0.5, perceptual_weight=1.5, identity_weight=0, learning_rate=1e-4)
    wanted |= dict(critic_learning_rate=1e-3, critic_share=0.25, batch_size=2)
    assert wanted.items() <= dlmi.items()
    for model in set(system_names()) - {"cyclegan3d"}:  # field strengths are drawn in slices
        fields = make_config({"preset": "field-strength", "model": model})
        assert fields.data.domain_names == ("MRI15T", "MRI3T") and fields.data.phantom_pair == "field-strength"
    unit = _values(model="unit", preset="paper")
    assert (
        dict(adversarial_weight=10, reconstruction_weight=100, cycle_weight=100, kl_weight=0.1).items() <= unit.items()
    )
    projected = _values(preset="projected")
    wanted = dict(critic="projected", adversarial="hinge", pool_size=0, adversarial_weight=0.5)
    assert wanted.items() <= projected.items()
    assert set(system_settings("cyclegan").PRESETS) == {
        "fast", "projected", "paper", "notebook", "dlmi", "field-strength",
    }  # fmt: skip


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
        (dict(image_size=16), "--image-size 16: must be 32 or more"),
        (dict(image_size=96, generator="unet"), "power of two"),
        (dict(domains="CT"), "two different words"),
        (dict(domains="CT,CT"), "two different words"),
        (dict(domains="T1,T2"), "without the digit 2"),
        (dict(preset="slow"), "--preset slow: cyclegan has fast, projected, paper"),
        (dict(preset="notebook", model="unit"), "one of cyclegan; unit has fast, paper, field-strength"),
        (dict(model="slow"), "--model slow"),
        (dict(ema_decay=1.0), "below 1"),
        (dict(seed=2**63 - 1), "--seed 9223372036854775807: must be 2147483647 or less"),
        (dict(window="CT=80:0"), "a black below its white"),
        (dict(window="PET=0:80"), "one of CT, MRI"),
        (dict(batch_size=0), "--batch-size 0"),
    ],
)
def test_contradictions_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        make_config(given)


def test_an_explicit_budget_wins_over_the_presets():
    assert make_config({"preset": "paper", "steps": 7}).optimisation.epochs == 0
    assert make_config({"preset": "fast", "epochs": 3}).optimisation.steps == 0


@pytest.mark.parametrize(
    "given, message",
    [
        (dict(model="unit", generator="unet"), "cyclegan, cut, cyclegan3d, fastcut, medgan, pix2pix have it"),
        (dict(model="pccgan", generator="unet"), "not a setting of this model"),
        (dict(model="unit", log_style="notebook"), "models cyclegan, medgan have it"),
        (dict(flip_equivariance="true"), "models cut, fastcut have it"),
        (dict(extractor="nonsense"), "does nothing here; it needs perceptual_weight or style_weight"),
        (dict(tutorial_bottleneck="true"), "needs generator=unet"),
        (dict(edge_start=0.1), "needs edge_weight"),
        (dict(bad_files="skip"), "does nothing here"),
        (dict(data="somewhere", phantoms=9), "needs data=phantom"),
    ],
)
def test_a_setting_that_does_nothing_cannot_be_written_down(given, message):
    with pytest.raises(UserError, match=message):
        make_config(given)


def test_critics_that_rest_slow_down_all_the_same():
    """Their rate follows from the step and not from how often they moved."""
    translator = _build(critic_share=0.3, decay_start=0.0, ema_decay=0.0)
    translator.train_step(_batch(), tf.constant(99, tf.int64))
    assert float(translator.optimizers["a_to_b"].learning_rate) == pytest.approx(6e-4 / 100, rel=1e-4)
    resting = _build(critic_share=1e-9, decay_start=0.0, ema_decay=0.0)
    resting._apply("critics", {n: [tf.zeros_like(v) for v in vs] for n, vs in resting._side("critics").items()},
                   tf.constant(75, tf.int64))  # fmt: skip
    assert float(resting.optimizers["critic_a"].learning_rate) == pytest.approx(6e-4 / 4, rel=1e-4)


def test_float16_moves_every_network():
    """One scale for all losses: with a scale of its own for each optimizer, some gradients came back as nothing."""
    translator = _build(policy="mixed_float16", generator="light", ema_decay=0.0, learning_rate=1e-3)
    trained = (translator.a_to_b, translator.b_to_a, translator.critic_a, translator.critic_b)
    before = {network.name: network.get_weights() for network in trained}
    losses = _train(translator, 6)
    assert all(np.isfinite(value) for value in losses.values())
    for network in trained:
        changed = [not np.array_equal(a, b) for a, b in zip(before[network.name], network.get_weights())]
        assert np.mean(changed) > 0.5, network.name
