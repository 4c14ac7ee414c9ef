import h5py
import numpy as np
import pytest
import tensorflow as tf
import yaml

from common_tf.backbones import NetworkSpec, build_network
from common_tf.errors import UserError
from common_tf.files import replace_json
from common_tf.runs import giving
from common_tf.runs.saved_detector import load_detector_network, save_detector
from common_tf.runs.weights import load_weights, save_weights


def _network(seed=0):
    initializer = tf.keras.initializers.RandomNormal(seed=seed)
    inputs = tf.keras.Input((8, 8, 1))
    x = tf.keras.layers.Conv2D(3, 3, padding="same", kernel_initializer=initializer)(inputs)
    return tf.keras.Model(inputs, tf.keras.layers.BatchNormalization()(x), name="a_to_b")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    save_weights(folder, "last", {"a_to_b": _network(1)}, {"step": 9})
    save_weights(folder, "best", {"a_to_b": _network(2)}, {"step": 7})
    config = {"model": "cyclegan", "data": {"data": "/home/me/scans", "domains": "CT,MRI"}, "run": {"log_every": 3}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    for name in ("manifest.csv", "history.jsonl", "environment.json", "preparation.yaml"):
        (folder / name).write_text(f"of {name}\n")
    (folder / "checkpoints").mkdir()
    return folder


def test_what_is_kept_and_what_stays_behind(run, tmp_path, capsys):
    giving.main([str(run), str(tmp_path / "there" / "given")])
    given = tmp_path / "there" / "given"
    names = {str(file.relative_to(given)) for file in given.rglob("*") if file.is_file()}
    weights = {"weights/best.json", "weights/best-0000007-a_to_b.weights.h5"}
    assert names == {"config.yaml", "manifest.csv", "preparation.yaml", *weights}
    assert yaml.safe_load((given / "config.yaml").read_text()) == {
        "model": "cyclegan", "data": {"data": "scans", "domains": "CT,MRI"}, "run": {"log_every": 3},
    }  # fmt: skip
    assert "MB; write its card" in capsys.readouterr().out
    with pytest.raises(UserError, match="is there already"):
        giving.give_away(run, given)


def test_weights_come_back_rounded_to_half_precision(run, tmp_path):
    giving.give_away(run, tmp_path / "given")
    network = _network(5)
    assert load_weights(tmp_path / "given", {"a_to_b": network})["step"] == 7
    for mine, theirs in zip(network.get_weights(), _network(2).get_weights(), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, theirs.astype(np.float16).astype(np.float32))


def test_what_half_precision_cannot_hold_stays_as_it_is(tmp_path):
    values = {"large": np.array([1e5, 1.0], np.float32), "small": np.array([0.1], np.float32), "count": np.arange(3)}
    with h5py.File(tmp_path / "a.weights.h5", "w") as file:
        for name, value in values.items():
            file[f"layers/{name}/vars/0"] = value
        file["layers/large"].attrs["name"] = "dense"
    giving.halve(tmp_path / "a.weights.h5", tmp_path / "b.weights.h5")
    with h5py.File(tmp_path / "b.weights.h5") as file:
        read = {name: file[f"layers/{name}/vars/0"][()] for name in values}
        assert file["layers/large"].attrs["name"] == "dense"
    assert [read[name].dtype for name in ("large", "small", "count")] == [np.float32, np.float16, np.int64]
    np.testing.assert_array_equal(read["large"], values["large"])


def test_a_detector_is_given_with_its_record(run, tmp_path):
    spec = NetworkSpec("small", side=32, channels=1, classes=2, filters=4, dropout=0.5, seed=3)
    network = build_network(spec, policy="float32")
    save_detector(run, network, spec, step=3)
    replace_json(run / "detector.json", {"classes": ["no", "yes"]})
    giving.give_away(run, tmp_path / "given")
    assert (tmp_path / "given" / "detector.json").exists()
    loaded, again = load_detector_network(tmp_path / "given")
    assert again == spec
    images = np.random.default_rng(0).uniform(0, 1, (2, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(loaded(images), network(images), atol=5e-3)


def test_nothing_half_written_is_left(run, tmp_path):
    file = run / "weights" / "best-0000007-a_to_b.weights.h5"
    file.write_bytes(b"no weights")
    with pytest.raises(UserError, match="no file of weights"):
        giving.give_away(run, tmp_path / "given")
    assert [one.name for one in tmp_path.iterdir()] == ["run"]
    with pytest.raises(UserError, match="wants a run and a folder"):
        giving.main([str(run)])
