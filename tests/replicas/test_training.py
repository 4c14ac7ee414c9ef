"""Trainings that several processes share: killed, continued, stopped, refused."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.runs.devices import _cluster, train_on_devices
from tests.replicas.test_replicas import REPOSITORY, cluster
from train_cyclegan import main as train_cyclegan

# One generator with dropout and one critic: their state is all there is to keep alike, and their graph is soon built.
_SMALL = ("--model", "pix2pix", "--image-size", "32", "--precision", "float32", "--batch-size", "2")
_SETTINGS = ("generator=unet", "phantoms=8", "generator_filters=4", "discriminator_filters=4", "validation_images=4")
_SMALL += tuple(word for setting in _SETTINGS for word in ("--set", setting))
_DETECTOR = ("--image-size", "32", "--set", "phantoms=40", "--batch-size", "4", "--folds", "2", "--epochs", "2")


def _start(script: str, run: Path, *words: str, environment: dict[str, str] | None = None) -> subprocess.Popen:
    command = [sys.executable, str(REPOSITORY / script), "--run", str(run), *words]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _training(run: Path, *words: str, **more) -> subprocess.Popen:
    return _start("train_cyclegan.py", run, *_SMALL, *words, **more)


def _finish(process: subprocess.Popen, code: int = 0) -> tuple[str, str]:
    out, error = process.communicate(timeout=600)
    assert process.returncode == code, out + error
    return out, error


def _assert_same_state(first: Path, second: Path) -> None:
    readers = [tf.train.load_checkpoint(str(run / "checkpoints")) for run in (first, second)]
    names = readers[0].get_variable_to_shape_map()
    assert set(names) == set(readers[1].get_variable_to_shape_map())
    for name in names:
        if not any(word in name for word in ("seconds", "save_counter", "_CHECKPOINT")):
            np.testing.assert_array_equal(*(reader.get_tensor(name) for reader in readers), err_msg=name)


def _wait_for_save(run: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 300
    while not list(run.glob("weights/last.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, process.kill()
        time.sleep(0.05)


def _children(process: subprocess.Popen) -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not listed.exists():
        pytest.skip("wants Linux: it looks up which processes were started")
    return [int(number) for number in listed.read_text().split()]


def _is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    """A run of 60 steps on two processes."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    out, _ = _finish(_training(run, "--devices", "2", "--steps", "60", "--save-every-steps", "5"))
    assert "devices: 2 processes, 1 of the 2 images of a step each" in out
    return run


@pytest.mark.more
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_rest_and_the_run_goes_on_to_the_same_weights(victim, undisturbed, tmp_path):
    words = "--devices", "2", "--steps", "60", "--save-every-steps", "5"
    process = _training(tmp_path / "run", *words)
    _wait_for_save(tmp_path / "run", process)
    os.kill(_children(process)[victim], signal.SIGKILL)
    began = time.monotonic()
    _, error = _finish(process, 2)
    assert time.monotonic() - began < 60
    assert error.count("\n") == 1 and f"device {victim + 1} of 2 ended (signal 9" in error and "same command" in error
    assert read_json(tmp_path / "run" / "status.json", way_out="")["step"] < 60
    out, _ = _finish(_training(tmp_path / "run", *words))
    assert "continuing after step" in out
    _assert_same_state(tmp_path / "run", undisturbed)


@pytest.mark.more
def test_processes_of_a_cluster_equal_those_of_one_machine(undisturbed, tmp_path):
    words = "--steps", "60", "--save-every-steps", "5"
    runs = tmp_path / "run", tmp_path / "elsewhere"
    processes = [_training(run, *words, environment=mine) for run, mine in zip(runs, cluster(2))]
    first, _ = _finish(processes[0])
    _finish(processes[1])
    assert "this is number 1 of 2" in first
    _assert_same_state(tmp_path / "run", undisturbed)
    assert not runs[1].exists()


@pytest.mark.more
def test_another_number_of_devices_goes_on(undisturbed, tmp_path):
    words = "--steps", "20", "--save-every-steps", "5"
    _finish(_training(tmp_path / "run", "--devices", "2", *words))
    out, _ = _finish(_training(tmp_path / "run", "--devices", "1", "--steps", "30", *words[2:]))
    assert "continuing after step 20" in out
    out, _ = _finish(_training(tmp_path / "run", "--devices", "2", "--steps", "40", *words[2:]))
    assert "continuing after step 30" in out
    assert read_json(tmp_path / "run" / "status.json", way_out="")["state"] == "complete"


@pytest.mark.more
def test_a_request_to_stop_saves_in_all(tmp_path):
    process = _training(tmp_path / "run", "--devices", "2", "--steps", "5000", "--save-every-steps", "5")
    _wait_for_save(tmp_path / "run", process)
    process.send_signal(signal.SIGTERM)
    out, _ = _finish(process, 130)
    status = read_json(tmp_path / "run" / "status.json", way_out="")
    assert f"stopped after step {status['step']} and saved" in out


@pytest.mark.more
def test_processes_whose_launcher_is_killed_end_too(tmp_path):
    process = _training(tmp_path / "run", "--devices", "2", "--steps", "5000", "--save-every-steps", "5")
    _wait_for_save(tmp_path / "run", process)
    children = _children(process)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 60
    while any(_is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.more
def test_what_both_would_refuse_is_said_once(tmp_path):
    words = "--devices", "2", "--batch-size", "2", "--data", str(tmp_path / "none")
    process = _start("train_cyclegan.py", tmp_path / "run", *words)
    _, error = _finish(process, 2)
    assert error.count("\n") == 1 and "no such folder" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.more
def test_processes_with_other_settings_refuse_each_other(tmp_path):
    processes = [
        _training(tmp_path / "run", "--seed", seed, "--steps", "5", environment=mine)
        for seed, mine in zip(("1", "2"), cluster(2))
    ]
    for process in processes:
        _, error = _finish(process, 2)
        assert "have other files or settings" in error or "is gone" in error
    assert not (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.more
def test_a_detector_with_folds_is_shared(tmp_path):
    out, _ = _finish(_start("train_detector.py", tmp_path / "run", *_DETECTOR, "--devices", "2"))
    assert "fold 2 of 2" in out and "accuracy" in out
    assert read_json(tmp_path / "run" / "metrics.json", way_out="")


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path, capfd):
    words = ["--devices", "2", "--batch-size", "3", "--run", str(tmp_path / "run")]
    assert run_script(train_cyclegan, words) == 2
    assert "cannot be divided among 2 devices; take a multiple of 2" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("given", ["0", "-1", "two", ""])
def test_devices_that_are_none(given, capsys):
    with pytest.raises(SystemExit):
        train_cyclegan(["--devices", given])
    assert "wants auto, cpu, or a number of devices" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("{}", None),
        ('{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}', None),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}', (["a:1", "b:1"], 1)),
        (
            '{"cluster": {"chief": ["c:1"], "worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}',
            (["c:1", "a:1", "b:1"], 2),
        ),
        ('{"cluster": {"chief": ["c:1"], "worker": ["a:1"]}, "task": {"type": "chief"}}', (["c:1", "a:1"], 0)),
    ],
)
def test_a_cluster_is_read(text, found):
    assert _cluster({"TF_CONFIG": text}) == found


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["a:1", "b:1"]}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "x"}}',
        '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
        '{"cluster": {"ps": ["p:1"], "worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}',
    ],
)
def test_a_cluster_that_makes_no_sense_is_refused(text):
    with pytest.raises(UserError, match="TF_CONFIG"):
        _cluster({"TF_CONFIG": text})


def test_the_flag_and_a_cluster_contradict_each_other(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}')
    with pytest.raises(UserError, match="leave the flag out"):
        train_on_devices(lambda: True, devices="2", batch_size=2, script="", arguments=())
