"""Weights are whole or not there."""

import errno
import shutil
from types import SimpleNamespace

import pytest
import tensorflow as tf

from common_tf.runs import weights
from common_tf.runs.weights import write_network


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
