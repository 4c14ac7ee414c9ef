"""A translator that starts from another run: the same weights, and nothing tested that they have seen."""

import json

import numpy as np
import pytest

import train_cyclegan
from common_tf.command_line import run_script
from common_tf.splits.manifest import read_manifest
from cyclegan_tf.config import make_config
from cyclegan_tf.inference import load_translator
from cyclegan_tf.start import start_weights
from cyclegan_tf.systems import system_class, system_names

# Cycle-MedGAN's networks are CycleGAN's.
_MODELS, _MORE = [name for name in system_names() if name != "medgan"], pytest.mark.more
TINY = {
    "image_size": 32, "precision": "float32", "generator_filters": 4, "discriminator_filters": 2, "jitter": 1.0,
    "validation_images": 2, "sample_images": 1, "save_every_steps": 0, "validate_every_steps": 2, "steps": 2,
}  # fmt: skip


def _train(folder, run, *words, **changes):
    values = {**TINY, **changes}
    flags = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return run_script(train_cyclegan.main, [str(word) for word in ("--data", folder, "--run", run, *flags, *words)])


@pytest.fixture(scope="module")
def first(phantom_folder, tmp_path_factory):
    run = tmp_path_factory.mktemp("start") / "first"
    assert _train(phantom_folder, run) == 0
    return run


def _outputs(run, images):
    translator = load_translator(run)
    return [translator.translate(images, direction) for direction in ("a_to_b", "b_to_a")]


@pytest.mark.more
def test_it_begins_where_the_other_one_was_chosen(phantom_folder, first, tmp_path, random, capsys):
    words = ("--weights", f"{first}/", "--set", "ema_decay=0")
    assert _train(phantom_folder, tmp_path / "run", *words, learning_rate=0.0) == 0
    assert f"starting from the generators of {first}" in capsys.readouterr().out
    images = random.uniform(size=(2, 32, 32)).astype(np.float32)
    for mine, theirs in zip(_outputs(tmp_path / "run", images), _outputs(first, images)):
        np.testing.assert_array_equal(mine, theirs)
    # The same command goes on.
    assert _train(phantom_folder, tmp_path / "run", *words, learning_rate=0.0) == 0
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("model", [one if one == "cyclegan" else pytest.param(one, marks=_MORE) for one in _MODELS])
def test_every_system_takes_its_own_weights(model):
    options = {"image_size": 32, "generator_filters": 4, "discriminator_filters": 2, "model": model, "pool_size": 0}
    if model == "pix2pix":
        del options["pool_size"]
    config = make_config(options)
    one, other = (system_class(model)(config, policy="float32", total_steps=5) for _ in range(2))
    weights = {
        name: [value + 0.01 * (number % 3) for number, value in enumerate(network.get_weights())]
        for name, network in system_class(model).build_inference(config, policy="float32").items()
    }
    if model == "unit":  # both directions share the parts in their middle
        weights["b_to_a"] = one.inference_networks()["b_to_a"].get_weights()
        weights["a_to_b"] = one.inference_networks()["a_to_b"].get_weights()
    other.start_from(weights)
    for name, network in other.inference_networks().items():
        for mine, theirs in zip(network.get_weights(), weights[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        for mine, theirs in zip(other._live[name].get_weights(), weights[name], strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.more
def test_what_the_start_has_seen_tests_nobody(phantom_folder, first, tmp_path, capsys):
    second = tmp_path / "second"
    code = _train(phantom_folder, second, "--weights", first, seed=5)
    trained = {row.sha256 for row in read_manifest(first / "manifest.csv") if row.split in ("train", "validation")}
    printed = capsys.readouterr()
    assert code == 0, printed.err
    rows = read_manifest(second / "manifest.csv")
    assert not trained & {row.sha256 for row in rows if row.split == "test"}
    # What a third run starts from has seen what the first one saw.
    inherited = {row.sha256 for row in read_manifest(second / "inherited.csv")}
    assert inherited == trained
    moved = [row for row in rows if row.split == "unused"]
    found = [
        one for one in json.loads((second / "audit.json").read_text())["findings"] if one["topic"] == "start weights"
    ]
    assert bool(moved) == bool(found)


def test_weights_that_do_not_fit_are_one_line_and_nothing_is_written(phantom_folder, first, tmp_path, capsys):
    run = tmp_path / "run"
    empty = tmp_path / "empty"
    empty.mkdir()
    for words, changes, reason in (
        (("--weights", tmp_path / "nowhere"), {}, "no such folder"),
        (("--weights", empty), {}, "config.yaml: not found"),
        (("--weights", first), {"generator_filters": 6}, "are not those of this config"),
        (("--weights", first), {"generator": "resnet6"}, "are not those of this config"),
        (("--weights", first, "--domains", "MRI,CT"), {}, "translates between CT,MRI, not MRI,CT"),
    ):
        assert _train(phantom_folder, run, *words, **changes) == 2
        complaint = capsys.readouterr().err
        assert reason in complaint and complaint.count("\n") == 1, complaint
        assert not run.exists()


def test_a_one_sided_start_has_one_direction(phantom_folder, tmp_path, first):
    config = make_config({**TINY, "model": "cut", "weights": str(first)})
    assert set(start_weights(config)) == {"a_to_b"}
