"""Every system through the same scripts: train, kill, continue, translate."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_cyclegan
import train_detector
import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.runs.config import options_of
from common_tf.runs.history import read_history
from cyclegan_tf.config import config_type, make_config
from cyclegan_tf.inference import ArrayTranslator
from cyclegan_tf.systems import system_class, system_names
from cyclegan_tf.systems.pccgan.networks import ATOMS, Dictionary, conditional_generator
from cyclegan_tf.systems.unit.networks import unit_parts
from cyclegan_tf.volume_data import load_data

TINY = ("--image-size", 32, "--precision", "float32", "--log-every", 1)
# Batches come from tf.data, which stays as it is under the fixture ``eagerly``.
pytestmark = pytest.mark.filterwarnings("ignore:Even though the:UserWarning")
_SMALL = {"generator": "unet", "generator_filters": 4, "discriminator_filters": 4}
_SMALL |= {"validation_images": 4, "sample_images": 1}
SYSTEMS = {name: ("--model", name) for name in system_names()} | {
    "dlmi": ("--preset", "dlmi"),
    "field-strength": ("--preset", "field-strength"),
}
NEEDS_EXTRACTOR = ("medgan", "dlmi")
PRESETS_OF_CYCLEGAN = ("dlmi", "field-strength")


def _quick(names, *quick: str) -> list:
    """Parameters of which all but the quick ones are for `make test-more`."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.more) for name in names]


def _small(model: str, **more) -> dict:
    """The small settings that a system has."""
    mine = options_of(config_type(model))
    own = {"generator": "light", "voxel_mm": 6.0} if system_class(model).is_volumetric else {}
    return {name: value for name, value in {**_SMALL, **own, **more}.items() if name in mine}


def _quietly(main, *words) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_script(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def detector(tmp_path_factory) -> Path:
    """A detector's run, to look through."""
    run = tmp_path_factory.mktemp("detectors") / "run"
    words = ("--data", "phantom", "--image-size", 32, "--epochs", 1, "--set", "phantoms=40", "--set", "filters=4")
    assert _quietly(train_detector.main, "--run", run, *words) == 0
    return run


def _words(name, detector, data) -> tuple:
    own = ("--set", f"extractor={detector}") if name in NEEDS_EXTRACTOR else ()
    if name == "cut":  # which steps move the critics must be known again after a kill
        own = ("--set", "critic_share=0.5")
    model = name if name in system_names() else "cyclegan"
    small = [word for key, value in _small(model).items() for word in ("--set", f"{key}={value}")]
    drawn = ("--set", "phantoms=10") if data == "phantom" else ()
    return (*SYSTEMS[name], *TINY, *small, *own, *drawn, "--data", data, "--save-every-steps", 1)


def _weights(run: Path) -> dict:
    record = json.loads((run / "weights" / "last.json").read_text())
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    names = [name for name in reader.get_variable_to_shape_map() if "seconds" not in name and "_CHECKPOINT" not in name]
    return {"step": record["step"], **{name: reader.get_tensor(name) for name in names if "save_counter" not in name}}


def _forget_after(run: Path, step: int) -> None:
    """The folder as a kill right after the save of a step leaves it."""
    for file in (run / "checkpoints").glob("ckpt-*"):
        if int(file.name.split("-")[1].split(".")[0]) > step:
            file.unlink()


# CycleGAN itself is killed for real, in a process of its own, in test_training.py.
@pytest.mark.parametrize("name", _quick(sorted(set(SYSTEMS) - {"cyclegan"}), "pix2pix"))
def test_train_kill_continue_translate(name, detector, phantom_folder, strips, drawn_volumes, tmp_path):
    data = {"pix2pix": strips, "cyclegan3d": drawn_volumes}.get(name, phantom_folder)
    run, words = tmp_path / "run", _words(name, detector, data)
    assert _quietly(train_cyclegan.main, *words, "--run", run, "--steps", 3) == 0
    whole = _weights(run)
    assert whole["step"] == 3
    if name not in PRESETS_OF_CYCLEGAN:
        _forget_after(run, 1)
        assert _quietly(train_cyclegan.main, *words, "--run", run, "--steps", 3) == 0
        again = _weights(run)
        assert set(again) == set(whole)
        for key, value in whole.items():
            np.testing.assert_array_equal(again[key], value, err_msg=key)
    if name == "fastcut":  # a larger budget is no other config
        assert _quietly(train_cyclegan.main, *words, "--run", run, "--steps", 4) == 0
    history = read_history(run)
    assert [line["step"] for line in history] == [1, 2, 3, 4][: 3 + (name == "fastcut")]
    assert all(np.isfinite(value) for line in history for value in line.values() if isinstance(value, float))
    direction = "MRI15T2MRI3T" if name == "field-strength" else "CT2MRI"
    Image.fromarray(quantise(draw_phantom(5, size=50).ct)).save(tmp_path / "one.png")
    words = ("--run", run, "--direction", direction, "--input", tmp_path / "one.png", "--output", tmp_path / "out")
    if name == "cyclegan3d":  # what it makes of volumes stands in test_cyclegan3d.py
        assert _quietly(translate.main, *words) == 2
        return
    assert _quietly(translate.main, *words) == 0
    with Image.open(tmp_path / "out" / "one.png") as picture:
        assert picture.size == (50, 50)


def test_one_sided_runs_say_what_they_translate(detector, tmp_path, capsys):
    """On drawn heads, which are scored at the end."""
    run = ("--run", tmp_path / "run")
    assert _quietly(train_cyclegan.main, *_words("fastcut", detector, "phantom"), *run, "--steps", 1) == 0
    scores = json.loads((tmp_path / "run" / "phantom_scores.json").read_text())
    assert set(scores["directions"]) == {"CT2MRI"}
    Image.fromarray(quantise(draw_phantom(5, size=50).mri)).save(tmp_path / "one.png")
    words = (*run, "--direction", "MRI2CT", "--input", tmp_path / "one.png")
    assert _quietly(translate.main, *words, "--output", tmp_path / "out") == 2
    assert "this run translates CT2MRI\n" in capsys.readouterr().err


@pytest.fixture
def translator(drawn_volumes):
    """Builds a tiny system and a batch for it."""

    def build(model, **given):
        if system_class(model).is_volumetric:
            given = {"data": str(drawn_volumes), **{key: value for key, value in given.items() if key != "phantoms"}}
        values = {**_small(model, phantoms=6), **given}
        if "data" in values:
            del values["phantoms"]
        config = make_config(dict(model=model, image_size=32, steps=4, **values))
        system = system_class(model)(config, policy="float32", total_steps=4)
        data = load_data(config, system)
        batch = next(iter(data.pipeline(config).batches(0)))
        return system, batch

    return build


@pytest.fixture
def eagerly():
    """One step at a time costs less than the graph of a step; what graphs must do, the tests of whole runs show."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def _step_with_cycle_upside_down(system, batch, step: int) -> dict:
    """A step in which the way back sees every picture upside down; cycles must be judged by pictures upside down."""
    flipped, judged, cycle_terms = [], {}, system.cycle_terms

    def flip(images):
        flipped.append(images)
        return tf.reverse(images, [1])

    def watched(letter, real, *others):
        judged[letter] = real
        return cycle_terms(letter, real, *others)

    system.cycle_flip, system.cycle_terms = lambda _: flip, watched
    losses = system.train_step(batch, tf.constant(step, tf.int64))
    assert len(flipped) == 4  # both translations, and both images that they are to come back to
    for letter in "ab":
        np.testing.assert_array_equal(judged[letter], batch[letter][:, ::-1])
    return losses


def test_pix2pix_sees_aligned_pairs_and_others_do_not(translator):
    _, together = translator("pix2pix")
    np.testing.assert_array_equal(together["mask_a"], together["mask_b"])
    assert 0.2 < together["mask_a"].numpy().mean() < 0.9
    _, apart = translator("cyclegan")
    assert not np.array_equal(apart["mask_a"], apart["mask_b"])


def test_pix2pix_learns_the_truth_and_not_the_input(translator):
    system, batch = translator("pix2pix", learning_rate=2e-3, ema_decay=0.0, decay_start=1.0)
    first = system.train_step(batch, tf.constant(0, tf.int64))["l1_a_to_b"]
    for step in range(1, 40):
        last = system.train_step(batch, tf.constant(step, tf.int64))["l1_a_to_b"]
    assert float(last) < 0.5 * float(first)
    out = system.translate(batch["a"], "a_to_b")
    assert np.abs(out - batch["b"]).mean() < np.abs(out - batch["a"]).mean()


def test_pix2pix_can_keep_its_dropout_as_noise(translator):
    system, batch = translator("pix2pix")
    unit = (batch["a"].numpy()[..., 0] + 1) / 2
    for dropout in (False, True):
        translate = ArrayTranslator(system.inference_networks(), channels=1, dropout=dropout)
        first, second = (translate(unit, "a_to_b") for _ in range(2))
        assert np.array_equal(first, second) is not dropout


def test_unit_shares_two_blocks_and_is_silent_at_inference(translator, eagerly):
    system, batch = translator("unit")
    parts = system.parts
    for name in ("shared_in", "shared_out"):
        used = [network for network in system._live.values() if parts[name] in network.layers]
        assert len(used) == 2  # one object, both directions
    assert parts["encoder_a"](batch["a"]).shape == (1, 8, 8, 16)
    first, second = (system.translate(batch["a"], "a_to_b") for _ in range(2))
    np.testing.assert_array_equal(first, second)
    before = [variable.numpy() for variable in parts["shared_in"].trainable_variables]
    system.train_step(batch, tf.constant(0, tf.int64))
    assert all(np.abs(v - w).max() > 0 for v, w in zip(parts["shared_in"].trainable_variables[::2], before[::2]))


def test_any_cycle_can_be_judged_by_more_than_l1(translator, eagerly):
    system, batch = translator("unit", ssim_cycle_weight=1.0, edge_weight=1.0, edge_start=0.0, critic_share=1e-9)
    losses = _step_with_cycle_upside_down(system, batch, 0)
    for name in ("ssim_cycle_a", "ssim_cycle_b", "edges_a_to_b", "edges_b_to_a"):
        assert 0 < float(losses[name]) < 2, name
    updates = {name: int(optimizer.iterations) for name, optimizer in system.optimizers.items()}
    assert updates == {"generators": 1, "critic_a": 0, "critic_b": 0}  # critics move in one step of 10^9


def test_units_latent_has_a_quarter_of_the_side():
    parts = unit_parts(size=64, channels=1, filters=8, seed=0, policy="float32")
    assert tuple(parts["encoder_a"].outputs[0].shape) == (None, 16, 16, 32)


def test_pccgan_counts_its_layers_and_its_dictionary_rebuilds_atoms():
    network = conditional_generator(size=32, channels=1, filters=4, seed=0, policy="float32", name="a_to_b")
    wrapped = [layer.layer if hasattr(layer, "layer") else layer for layer in network.layers]
    assert sum(isinstance(layer, tf.keras.layers.Conv2D) for layer in wrapped) == 32
    dictionary = Dictionary(temperature=1e-4)
    dictionary.build((None, 2, 2, 16))
    atoms = dictionary.table.numpy()[:4].reshape(1, 2, 2, 16)
    output, assignment, error = dictionary(atoms)
    np.testing.assert_allclose(output, atoms, atol=1e-5)
    np.testing.assert_allclose(np.argmax(assignment, axis=-1).ravel(), np.arange(4))
    assert assignment.shape[-1] == ATOMS and float(np.max(error)) < 1e-8


def test_pccgan_is_conditioned_but_gets_no_gradient_through_it(translator, eagerly):
    system, batch = translator("pccgan")
    generator = system.generators["a_to_b"]
    one, _, _ = generator([batch["a"], batch["b"]])
    other, _, _ = generator([batch["a"], tf.zeros_like(batch["b"])])
    assert np.abs(one - other).max() > 0
    losses = _step_with_cycle_upside_down(system, batch, 0)
    assert 0 < float(losses["dictionary_usage_a_to_b"]) <= 1.0001
    np.testing.assert_array_equal(system.earlier["b"], batch["b"])
    reference = system._reference(system._live["a_to_b"])
    assert np.abs(reference.numpy()).max() > 0
    np.testing.assert_array_equal(reference, system._reference(system.averages["a_to_b"]))


def test_pccgan_is_never_conditioned_on_what_its_cycle_must_return(translator, eagerly):
    """Neither as it is nor mirrored, at any step: the answer would stand in the question."""
    system, batch = translator("pccgan")
    random = np.random.default_rng(0)
    shown = system._shown.numpy()[0, ..., 0] > 0
    for step in range(40):
        mine = {name: tf.constant(random.uniform(-1, 1, batch[name].shape), tf.float32) for name in "ab"}
        for direction, letter in (("a_to_b", "b"), ("b_to_a", "a")):
            condition = system.condition(direction, tf.constant(step, tf.int64)).numpy()[0, ..., 0]
            for turned in (np.s_[:], np.s_[::-1], np.s_[:, ::-1], np.s_[::-1, ::-1]):
                answer = mine[letter].numpy()[0, ..., 0][turned]
                assert np.abs(condition - answer)[shown].max() > 0.1
        system.remember({**batch, **mine})


@pytest.mark.parametrize("model", _quick(system_names(), "cut", "cyclegan", "pix2pix"))
def test_no_variable_is_trained_twice(model, translator, detector):
    """A variable that stands twice in an optimizer is moved twice as far as its rate says."""
    system, _ = translator(model, **({"extractor": str(detector)} if model == "medgan" else {}))
    trained = [id(variable) for variable in system.trained()]
    assert len(trained) == len(set(trained)) > 0
    networks = {id(variable) for network in system._live.values() for variable in network.trainable_variables}
    assert networks <= set(trained)


def test_a_contrast_beside_a_cycle_is_trained_once_too(translator):
    system, _ = translator("cyclegan", nce_weight=1.0)
    trained = [id(variable) for variable in system.trained()]
    assert len(trained) == len(set(trained))
    heads = [variable for contrast in system.contrasts.values() for variable in contrast.trainable_variables]
    assert heads and {id(variable) for variable in heads} <= set(trained)


def test_fastcut_compares_a_flipped_output_with_the_unflipped_input(translator, eagerly):
    """The output's features are flipped back, as in the authors' code; a generator that copies is then at home."""
    system, batch = translator("fastcut", generator="light", ema_decay=0.0)
    contrast = system.contrasts["a_to_b"]
    for variable in system.generators["a_to_b"].weights:  # so that a mirrored image has mirrored features
        if len(variable.shape) == 4:
            variable.assign((variable + variable[:, ::-1]) / 2)
    source, step = batch["a"], tf.constant(0, tf.int64)
    flipped = tf.reverse(source, [2])
    (plain,) = contrast.losses(source, source, step)
    (turned,) = contrast.losses(source, flipped, step, turned=tf.constant(True))
    (wrong,) = contrast.losses(source, flipped, step, turned=tf.constant(False))
    assert float(turned) == pytest.approx(float(plain), rel=1e-3)
    assert abs(float(wrong) - float(plain)) > 0.2
    draws = [bool(system._turned("a_to_b", tf.constant(n, tf.int64))) for n in range(60)]
    assert 15 < sum(draws) < 45


def test_cut_halves_its_two_contrasts(translator, eagerly):
    system, batch = translator("cut", ema_decay=0.0)
    losses = {}
    total, _ = system._losses("a_to_b", batch, tf.constant(0, tf.int64), losses)
    wanted = losses["adversarial_a_to_b"] + 10 * losses["outside_a_to_b"]
    wanted += 0.5 * (losses["nce_a_to_b"] + losses["nce_identity_a_to_b"])
    assert float(total) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("model", _quick(system_names(), "cyclegan", "pix2pix"))
def test_every_system_moves_in_float16(model, translator, detector, eagerly):
    more = {"extractor": str(detector)} if model == "medgan" else {}
    config = make_config(dict(model=model, image_size=32, steps=99, **{**_small(model, phantoms=4), **more}))
    system = system_class(model)(config, policy="mixed_float16", total_steps=99)
    _, batch = translator(model, phantoms=4, **more)
    before = [variable.numpy() for variable in system.trained()]
    for step in range(16):  # a scale that is too high leaves the step out and is halved
        losses = system.train_step(batch, tf.constant(step, tf.int64))
        if int(system.loss_scale.good_steps):
            break
    assert all(np.isfinite(float(value)) for value in losses.values())
    moved = [not np.array_equal(old, new) for old, new in zip(before, system.trained())]
    assert np.mean(moved) > 0.5


def test_the_extractor_stays_and_its_terms_reach_the_generators(translator, detector, eagerly):
    # No dropout, so that the same batch gives the same losses twice.
    system, batch = translator("medgan", extractor=str(detector), ema_decay=0.0, generator="light")
    extractor = system._cycle_terms.extractor.network
    before = [weight.numpy() for weight in extractor.weights]
    first = system.diagnostics(batch, tf.constant(0, tf.int64))
    assert float(first["weighted_perceptual_a"]) == 0 < float(first["weighted_cycle_a"])
    sizes = system.diagnostics(batch, tf.constant(1, tf.int64))
    losses = system.train_step(batch, tf.constant(1, tf.int64))
    assert {"perceptual_a", "perceptual_b", "style_a", "style_b"} <= set(losses)
    for old, new in zip(before, extractor.weights):
        np.testing.assert_array_equal(old, new)
    # Half-way up the ramp: of four steps it takes two.
    for term, weight in (("perceptual_a", 0.15), ("style_b", 0.05), ("cycle_a", 3.0)):
        assert float(sizes[f"gradient_{term}"]) > 0
        assert float(sizes[f"weighted_{term}"]) == pytest.approx(weight * float(losses[term]), rel=1e-4)


def test_terms_without_weight_are_not_there(translator, eagerly):
    system, batch = translator("cyclegan")
    losses = _step_with_cycle_upside_down(system, batch, 0)
    words = ("ssim", "perceptual", "style", "nce", "edges", "identity")
    assert not [name for name in losses if name.startswith(words)]
    assert system.diagnostics(batch, tf.constant(0, tf.int64)) == {}
    given = dict(ssim_cycle_weight=1.0, nce_weight=1.0, edge_weight=1.0, identity_weight=1.0)
    system, batch = translator("cyclegan", **given)
    losses = system.train_step(batch, tf.constant(0, tf.int64))
    for word in ("ssim_cycle_a", "nce_a_to_b", "edges_b_to_a", "identity_a"):
        assert np.isfinite(float(losses[word]))


def test_to_look_changes_nothing(translator, eagerly):
    """However often a run is validated, it trains the same weights."""
    system, batch = translator("cyclegan", spectral_norm=True, edge_weight=1.0, edge_start=0.0)
    networks = [system.a_to_b, system.b_to_a, system.critic_a, system.critic_b]
    before = [weight.numpy() for network in networks for weight in network.weights]
    assert system.diagnostics(batch, tf.constant(2, tf.int64))
    for old, new in zip(before, (weight for network in networks for weight in network.weights)):
        np.testing.assert_array_equal(old, new)


@pytest.mark.more
def test_a_run_keeps_its_extractor(detector, phantom_folder, tmp_path, capsys):
    other = shutil.copytree(detector, tmp_path / "detector")
    words = (*_words("medgan", other, phantom_folder), "--run", tmp_path / "run")
    assert _quietly(train_cyclegan.main, *words, "--steps", 1) == 0
    weights = next((other / "weights").glob("*.weights.h5"))
    weights.write_bytes(weights.read_bytes() + b"0")
    assert _quietly(train_cyclegan.main, *words, "--steps", 2) == 2
    assert "has other weights than when" in capsys.readouterr().err
