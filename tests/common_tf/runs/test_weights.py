"""Weights are whole or not there."""

import errno
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.runs import weights
from common_tf.runs.weights import load_weights, save_weights, write_network


@pytest.mark.parametrize("units", [1, 300])
def test_room_is_asked_for_before_a_file_is_begun(units, tmp_path, monkeypatch):
    """Where a byte is missing for what was written, nothing is begun: HDF5 would not end well."""
    network = tf.keras.Sequential([tf.keras.Input((units,)), *(tf.keras.layers.Dense(units) for _ in range(12))])
    file = tmp_path / "n.weights.h5"
    write_network(file, network)
    size = file.stat().st_size
    file.unlink()
    monkeypatch.setattr(weights, "shutil", SimpleNamespace(disk_usage=lambda _: SimpleNamespace(free=size - 1)))
    with pytest.raises(OSError) as found:
        write_network(file, network)
    assert found.value.errno == errno.ENOSPC and found.value.filename == str(file)
    assert list(tmp_path.iterdir()) == [] and shutil.disk_usage(tmp_path).free


def _network() -> tf.keras.Model:
    return tf.keras.Sequential([tf.keras.Input((4,)), tf.keras.layers.Dense(3, name="only")])


def test_a_number_that_has_changed_on_disk_is_noticed(tmp_path):
    network, other = _network(), _network()
    save_weights(tmp_path, "best", {"net": network}, {"step": 1})
    load_weights(tmp_path, {"net": other})
    assert all(np.array_equal(*both) for both in zip(network.get_weights(), other.get_weights()))
    (file,) = (tmp_path / "weights").glob("*.h5")
    content = file.read_bytes()
    kernel = network.get_weights()[0].tobytes()
    assert content.count(kernel) == 1
    file.write_bytes(content.replace(kernel, kernel[:5] + bytes([kernel[5] ^ 1]) + kernel[6:]))
    with pytest.raises(UserError, match="numbers have changed"):
        load_weights(tmp_path, {"net": other})


def test_a_record_of_an_earlier_version_knows_no_digests(tmp_path):
    save_weights(tmp_path, "best", {"net": _network()}, {"step": 1})
    record = json.loads((tmp_path / "weights" / "best.json").read_text())
    del record["digests"]
    (tmp_path / "weights" / "best.json").write_text(json.dumps(record))
    assert load_weights(tmp_path, {"net": _network()})["step"] == 1
