"""Every backbone builds flat, passes as config and weights, and nothing else is taken for a detector."""

import json
import shutil
import warnings
import zipfile
from dataclasses import asdict, replace

import h5py
import numpy as np
import pytest
import tensorflow as tf

from common_tf.backbones import NetworkSpec, backbones, build_network
from common_tf.errors import UserError
from common_tf.files import replace_json
from common_tf.runs.saved_detector import (
    MODEL_FILE,
    convert_old_detector,
    load_detector_network,
    save_detector,
    spec_from,
    weights_digest,
)
from detector_tf.config import make_config

SMALL = NetworkSpec("small", side=32, channels=1, classes=2, filters=4, dropout=0.5, seed=3)
NAMES = sorted(backbones())


def _spec(name: str, **changes) -> NetworkSpec:
    return replace(SMALL, backbone=name, side=50 if name == "original" else 32, **changes)


def _images(spec: NetworkSpec, count=2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, spec.side, spec.side, spec.channels)).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_builds_flat_saves_and_loads_to_equal_outputs(name, tmp_path):
    spec, module = _spec(name), backbones()[name]
    network = build_network(spec, policy="float32")
    assert not any(isinstance(layer, tf.keras.Model) for layer in network.layers)
    layers = {layer.name for layer in network.layers}
    assert {wanted for wanted in (module.CAM_LAYER, module.FINE_TUNE_FROM) if wanted} <= layers
    outputs = network(_images(spec), training=False)
    assert outputs.dtype == tf.float32
    assert outputs.shape == ((2, 32, 32, 1) if module.SEGMENTS else (2, 1))
    if not module.SEGMENTS:
        assert {"features", "dropout", "logits"} <= layers
    (tmp_path / "weights").mkdir()
    save_detector(tmp_path, network, spec, step=7)
    loaded, same = load_detector_network(tmp_path)
    assert same == spec
    np.testing.assert_array_equal(loaded(_images(spec), training=False), outputs)
    assert sorted(item.name for item in (tmp_path / "weights").iterdir()) == [
        "detector-0000007.weights.h5",
        "detector.json",
    ]
    shutil.rmtree(tmp_path / "weights")


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_says_what_it_is(name):
    module = backbones()[name]
    assert isinstance(module.SIZE, int) and module.SIZE >= 32
    for flag in (module.FASTER_IN_BFLOAT16, module.USES_FILTERS, module.SEGMENTS):
        assert isinstance(flag, bool)
    assert all(isinstance(text, str) for text in (module.CAM_LAYER, module.FINE_TUNE_FROM, module.IMAGENET))
    if not module.SEGMENTS:
        started = make_config({"backbone": name, "weights": "runs/other"})
        for option, value in module.STARTED.items():
            assert getattr(started.optimisation, option) == value


@pytest.mark.parametrize("name", ["small", "unet"])
def test_more_classes_channels_filters_and_another_arithmetic(name):
    spec = _spec(name, classes=4, channels=3, filters=6)
    network = build_network(spec, policy="mixed_bfloat16")
    outputs = network(_images(spec), training=False)
    assert outputs.shape[-1] == 4 and outputs.dtype == tf.float32
    assert network.layers[1].compute_dtype == "bfloat16"
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_initial_weights_follow_from_the_seed():
    first, again, other = (build_network(replace(SMALL, seed=seed), policy="float32") for seed in (3, 3, 4))
    for one, two in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run with a small detector, and its outputs."""
    run = tmp_path_factory.mktemp("run")
    (run / "weights").mkdir()
    network = build_network(SMALL, policy="float32")
    save_detector(run, network, SMALL, step=1)
    return run


@pytest.fixture
def run(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "run")


def _weights(run):
    return next((run / "weights").glob("*.weights.h5"))


def _refused(run, words="") -> str:
    """One line for the user, and nothing else."""
    with pytest.raises(UserError, match=words) as error:
        load_detector_network(run)
    return str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "resnet"},
        {"backbone": "_blocks"},
        {"backbone": 5},
        {"backbone": ["small"]},
        {"side": 0},
        {"side": -32},
        {"side": 10**9},
        {"side": 32.0},
        {"side": "32"},
        {"side": True},
        {"channels": 0},
        {"classes": 1},
        {"classes": 10**9},
        {"filters": 0},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"dropout": float("nan")},
        {"dropout": 0},
        {"seed": -1},
        {"code": "print(1)"},
    ],
)
def test_values_that_describe_no_network_are_refused(tmp_path, change):
    assert spec_from(asdict(SMALL), tmp_path) == SMALL
    with pytest.raises(UserError, match="describes no network of a detector"):
        spec_from({**asdict(SMALL), **change}, tmp_path)


@pytest.mark.parametrize("values", [None, [], "small", {}, {"backbone": "small"}, {5: 6}])
def test_records_that_are_no_network_are_refused(run, values):
    replace_json(run / MODEL_FILE, {"network": values})
    _refused(run, "detector.json: describes no network")


def test_a_network_that_cannot_be_built_is_refused(run):
    record = json.loads((run / MODEL_FILE).read_text())
    replace_json(run / MODEL_FILE, {**record, "network": {**asdict(SMALL), "backbone": "multiscale", "side": 2}})
    _refused(run, "multiscale cannot be built for 2 pixels")


@pytest.mark.parametrize("content", ["", "{", "[]", "5"])
def test_a_damaged_record_is_refused_by_name(run, content):
    (run / MODEL_FILE).write_text(content)
    _refused(run, "detector.json")


def test_a_run_without_a_detector_says_so(tmp_path):
    _refused(tmp_path, "is .* the folder of a detector's run")
    with pytest.raises(UserError, match="the folder of a detector's run"):
        weights_digest(tmp_path)


class _Trap:
    """What a pickle would run."""

    def __reduce__(self):
        return (open, ("/tmp/executed-by-a-weights-file", "w"))


def _hdf5_of_other_shapes(file):
    other = build_network(replace(SMALL, filters=6), policy="float32")
    other.save_weights(str(file))


def _hdf5_of_another_network(file):
    build_network(_spec("original"), policy="float32").save_weights(str(file))


def _empty_hdf5(file):
    with h5py.File(file, "w"):
        pass


def _whole_model_with_a_lambda(file):
    """An HDF5 that Keras would run code from where it loads it as a model."""
    layers = [tf.keras.Input((32, 32, 1)), tf.keras.layers.Conv2D(4, 5), tf.keras.layers.Lambda(lambda x: x)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras': a format of the past
        tf.keras.Sequential(layers).save(str(whole := file.with_name("whole.h5")))
    whole.replace(file)
    with h5py.File(file) as content:
        assert "Lambda" in content.attrs["model_config"]


def _zip(file):
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", '{"module": "builtins", "class_name": "exec"}')


def _pickle(file):
    import pickle

    file.write_bytes(pickle.dumps(_Trap()))


@pytest.mark.parametrize(
    "write",
    [
        _hdf5_of_other_shapes,
        _hdf5_of_another_network,
        _empty_hdf5,
        _whole_model_with_a_lambda,
        lambda file: file.write_text("hello"),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        _zip,
        _pickle,
        lambda file: file.unlink(),
    ],
    ids=["shapes", "network", "empty HDF5", "model", "text", "empty", "cut", "zip", "pickle", "absent"],
)
def test_weights_of_another_kind_are_refused_with_one_line_and_nothing_is_run(run, write, monkeypatch):
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("unpickled"))
    monkeypatch.setattr(tf.keras.models, "load_model", lambda *_, **__: pytest.fail("loaded as a model"))
    file = _weights(run)
    write(file)
    message = _refused(run, "missing, damaged or not the weights of this small")
    assert str(file) in message and "\n" not in message


def test_the_record_cannot_point_out_of_its_folder_or_to_another_kind_of_file(run, tmp_path):
    shutil.copy(_weights(run), tmp_path / "elsewhere.weights.h5")
    record = json.loads((run / MODEL_FILE).read_text())
    for name in ("../../elsewhere.weights.h5", str(tmp_path / "elsewhere.weights.h5"), "detector.json", "", None, 5):
        replace_json(run / MODEL_FILE, {**record, "weights": name})
        _refused(run, "missing, damaged or not the weights")


def test_the_digest_is_that_of_record_and_weights(saved, run):
    assert weights_digest(run) == weights_digest(saved)
    save_detector(run, build_network(replace(SMALL, seed=9), policy="float32"), SMALL, step=1)
    changed = weights_digest(run)
    assert changed != weights_digest(saved)
    record = json.loads((run / MODEL_FILE).read_text())
    replace_json(run / MODEL_FILE, {**record, "format": 9})
    assert weights_digest(run) != changed
    _weights(run).unlink()
    with pytest.raises(UserError, match="cannot be read"):
        weights_digest(run)


# Models of earlier versions: Keras archives.


@pytest.fixture
def old_run(tmp_path):
    (tmp_path / "old" / "weights").mkdir(parents=True)
    network = build_network(SMALL, policy="float32")
    network.save(str(tmp_path / "old" / "weights" / "detector.keras"))
    return tmp_path / "old", network


def test_an_old_model_is_refused_with_the_way_to_convert_it_and_converted(old_run):
    run, network = old_run
    _refused(run, f"kept models with their code; convert it once: python -m detector_tf.conversion {run}")
    convert_old_detector(run, SMALL, step=12)
    loaded, spec = load_detector_network(run)
    assert spec == SMALL
    np.testing.assert_array_equal(loaded(_images(SMALL)), network(_images(SMALL)))


@pytest.mark.parametrize(
    "write",
    [
        lambda file: file.unlink(),
        lambda file: file.write_text("hello"),
        _zip,
        _empty_hdf5,
        lambda file: file.write_bytes(file.read_bytes()[:2000]),
    ],
    ids=["absent", "text", "other zip", "hdf5", "cut"],
)
def test_what_is_no_old_model_is_refused_and_leaves_nothing(old_run, write):
    run, _ = old_run
    write(run / "weights" / "detector.keras")
    with pytest.raises(UserError, match="detector.keras: not found, or no model of an earlier version"):
        convert_old_detector(run, SMALL, step=12)
    assert not (run / MODEL_FILE).exists()
    with pytest.raises(UserError):
        convert_old_detector(run, replace(SMALL, filters=6), step=12)
