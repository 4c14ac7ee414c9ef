"""What is promised of a run, for both tasks: it goes on exactly, with the same data, in the same arithmetic."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from common_tf.runs.history import read_history

REPOSITORY = Path(__file__).resolve().parents[2]


def _copy(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place))


@pytest.mark.more
def test_killed_and_continued_equals_uninterrupted(class_folders, tmp_path):
    words = ["--data", class_folders, "--steps", 40, "--save-every-steps", 6, "--image-size", 32, "--set", "filters=4"]
    words += ["--batch-size", 8, "--precision", "bfloat16", "--set", "patience=0", "--log-every", 1]

    def command(run: Path) -> list[str]:
        return [sys.executable, "train_detector.py", "--run", str(run), *map(str, words)]

    subprocess.run(command(tmp_path / "whole"), cwd=REPOSITORY, check=True, capture_output=True)
    killed = subprocess.Popen(
        command(tmp_path / "killed"), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    # The second save: the first is whole, whatever the moment of the kill.
    while not (tmp_path / "killed/checkpoints/ckpt-2.index").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert read_history(tmp_path / "killed")[-1]["step"] < 40, "killed too late to show anything"
    done = subprocess.run(command(tmp_path / "killed"), cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert "continuing after step" in done.stdout
    for name in ("whole", "killed"):
        assert [line["step"] for line in read_history(tmp_path / name)] == list(range(1, 41))
    whole, again = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(tmp_path / n / "checkpoints")) for n in ("whole", "killed")
    )
    names = [name for name in whole.get_variable_to_shape_map() if "seconds" not in name and "OBJECT_GRAPH" not in name]
    assert len(names) > 50
    for name in names:
        if "save_counter" not in name:
            np.testing.assert_array_equal(whole.get_tensor(name), again.get_tensor(name), err_msg=name)
    assert (tmp_path / "whole/predictions.csv").read_text() == (tmp_path / "killed/predictions.csv").read_text()


@pytest.mark.parametrize("task", ["classify", pytest.param("segment", marks=pytest.mark.more)])
def test_a_run_goes_on_only_with_the_data_it_began_with(task, train, class_folders, patients, tmp_path, capsys):
    given = class_folders if task == "classify" else patients
    data, run = _copy(given, tmp_path / "data"), tmp_path / "run"
    words = ("--task", task, "--run", run, "--set", "patience=0")
    assert train(*words, "--data", data, "--steps", 1) == 0
    manifest = (run / "manifest.csv").read_bytes()
    # The same files elsewhere, and the folder spelled otherwise, are the same data.
    moved = Path(shutil.move(data, tmp_path / "moved"))
    assert train(*words, "--data", f"{moved}/", "--steps", 2) == 0
    assert "continuing after step 1" in capsys.readouterr().out
    assert (run / "manifest.csv").read_bytes() == manifest
    # A file less, or another in the place of one (of a mask, too), are not.
    file = sorted(path for path in moved.rglob("*.*"))[-1]
    content = file.read_bytes()
    other = next(path for path in sorted(moved.rglob(f"*{file.suffix}")) if path.read_bytes() != content)
    file.write_bytes(other.read_bytes())
    for change in ("another", "none"):
        if change == "none":
            file.unlink()
        assert train(*words, "--data", moved, "--steps", 3) == 2
        assert "the data have changed since this run began" in capsys.readouterr().err
        assert (run / "manifest.csv").read_bytes() == manifest
        assert json.loads((run / "status.json").read_text())["step"] == 2
    file.write_bytes(content)
    assert train(*words, "--data", moved, "--steps", 3) == 0
    assert json.loads((run / "status.json").read_text())["step"] == 3


def test_a_run_goes_on_in_the_arithmetic_it_was_begun_in(train, tmp_path, capsys, monkeypatch):
    words = ("--task", "segment", "--run", tmp_path / "run", "--set", "phantoms=10")
    monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda: False)
    assert train(*words, "--steps", 1) == 0
    monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda: True)
    assert train(*words, "--steps", 2) == 0
    assert "going on in float32" in capsys.readouterr().out
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["policy"] == "float32"
    assert json.loads((tmp_path / "run" / "weights" / "best.json").read_text())["policy"] == "float32"


@pytest.mark.more
def test_a_fold_begins_in_the_arithmetic_of_its_run(train, tmp_path, capsys, monkeypatch):
    """The folds of a run that is continued on another machine are of one kind."""
    run = tmp_path / "run"
    words = ("--task", "segment", "--run", run, "--set", "phantoms=20", "--folds", 2, "--steps", 1)
    monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda: False)
    assert train(*words) == 0
    shutil.rmtree(run / "fold-1")
    monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda: True)
    assert train(*words) == 0
    assert json.loads((run / "fold-1" / "environment.json").read_text())["policy"] == "float32"


@pytest.mark.more
def test_a_damaged_checkpoint_is_passed_over(train, class_folders, tmp_path, capsys):
    run = tmp_path / "run"
    words = ("--data", class_folders, "--run", run, "--save-every-steps", 1, "--set", "patience=0")
    assert train(*words, "--steps", 3) == 0
    newest = max((run / "checkpoints").glob("ckpt-*.data*"), key=lambda path: path.stat().st_mtime)
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    (run / "checkpoints" / "checkpoint").write_text("")
    assert train(*words, "--steps", 4) == 0
    assert "ckpt-3" in capsys.readouterr().out
    assert [line["step"] for line in read_history(run)] == [1, 2, 3, 4]
    shutil.rmtree(run / "checkpoints")
    assert train(*words, "--steps", 5) == 2
    assert "holds no checkpoint" in capsys.readouterr().err


def test_early_stopping_keeps_the_best(train, tmp_path, capsys):
    run = tmp_path / "run"
    words = ("--run", run, "--set", "phantoms=24", "--set", "patience=2", "--set", "learning_rate=0")
    assert train(*words, "--epochs", 30) == 0
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "complete" and status["step"] < status["total_steps"]
    assert json.loads((run / "weights/best.json").read_text())["step"] == status["best_step"]
    capsys.readouterr()
    for epochs, said in ((30, "ended after step {}, for validation got no better"), (1, "done after step {}; 3 were")):
        assert train(*words, "--epochs", epochs) == 0
        assert said.format(status["step"]) in capsys.readouterr().out
        assert json.loads((run / "status.json").read_text())["state"] == "complete"


@pytest.mark.parametrize(
    "words, line",
    [
        (["--data", "nowhere"], "no such folder"),
        (["--folds", "1"], "--folds 1"),
        (["--task", "segment", "--backbone", "small"], "--backbone small"),
        (["--task", "translate"], "--task translate"),
        (["--weights", "imagenet"], "only for efficientnetlite0, vgg16"),
        (["--weights", "nowhere"], "run folder"),
        (["--weights", "{classes}"], "not found"),
        (["--exclude", "nowhere.csv", "--data", "{classes}"], "--exclude nowhere.csv"),
        (["--folds", "40", "--data", "{classes}"], "24 near-duplicate groups; 40 folds want as many"),
        (["--set", "positive=maybe", "--data", "{classes}"], "no such class"),
        (["--set", "clahe=maybe"], "must be true or false"),
        (["--set", "clahe"], "wants NAME=VALUE"),
        (["--epochs", "2", "--steps", "2"], "give one of them"),
        (["--ensemble", "nowhere"], "two or more"),
        (["--ensemble", "nowhere", "elsewhere"], "nowhere"),
        (["--explain", "nowhere.png"], "no such folder"),
    ],
)
def test_bad_input_is_one_line(words, line, train, class_folders, tmp_path, capsys):
    words = [word.replace("{classes}", str(class_folders)) for word in words]
    assert train("--run", tmp_path / "run", *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and line in error
    assert not (tmp_path / "run").exists()
