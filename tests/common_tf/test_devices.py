"""What the start line says of devices; no test machine has a GPU, so a driver's folder is drawn."""

import subprocess
import sys

import pytest
import tensorflow as tf

from common_tf import devices
from common_tf.quiet import stderr_held_back


def test_a_gpu_that_tensorflow_cannot_use_is_named_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert devices.unused_gpu_words(driver=tmp_path) is None
    for bus, text in (("0000:01:00.0", "Model: \t NVIDIA A100\nIRQ: 5\n"), ("0000:02:00.0", "nothing of a model\n")):
        (tmp_path / "gpus" / bus).mkdir(parents=True)
        (tmp_path / "gpus" / bus / "information").write_text(text)
    for build, loads, reason in (
        ({"is_cuda_build": False}, True, "built without CUDA"),
        ({"is_cuda_build": True, "cuda_version": "12.2"}, False, "the libraries of CUDA 12.2 are not found"),
        ({"is_cuda_build": True, "cuda_version": "12.2"}, True, "the driver does not serve CUDA 12.2"),
    ):
        monkeypatch.setattr(devices, "_loads", lambda library, loads=loads: loads)
        words = devices.unused_gpu_words(driver=tmp_path, build=build)
        assert words.startswith("NVIDIA A100: there, but TensorFlow") and reason in words
        assert words.endswith(f"pip install 'tensorflow[and-cuda]=={tf.__version__}'")


def test_a_gpu_in_use_is_named_and_nothing_more_is_said(monkeypatch):
    class Device:
        name = "/physical_device:GPU:0"

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [Device, Device])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "Tesla T4"})
    assert devices.device_words() == "Tesla T4, Tesla T4"
    assert devices.unused_gpu_words() is None


def test_without_a_gpu_the_cpu_is_named():
    assert devices.device_words().startswith("CPU (") == (not tf.config.list_physical_devices("GPU"))


def test_what_an_import_writes_is_shown_only_where_it_fails(capfd):
    import os

    with stderr_held_back():
        os.write(2, b"chatter")
    assert capfd.readouterr().err == ""
    with pytest.raises(ImportError), stderr_held_back():
        os.write(2, b"the reason")
        raise ImportError
    assert capfd.readouterr().err == "the reason"


def test_tensorflow_is_imported_in_silence_and_with_its_own_loader():
    code = "import common_tf, tensorflow as tf; assert tf.__spec__.loader is tf.__loader__; print(tf.constant(2) + 1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "3" in done.stdout and done.stderr == ""


def test_determinism_is_asked_for_where_it_is_wanted(monkeypatch):
    asked = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: asked.append(1))
    devices.ask_for_determinism(False)
    assert not asked
    devices.ask_for_determinism(True)
    assert asked
