"""Whole runs through the script; those that are killed or interrupted in processes of their own."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_cyclegan
from common_tf.command_line import run_script
from common_tf.runs.history import read_history

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = ["--image-size", "32", "--log-every", "1", "--set", "generator=unet", "--set", "generator_filters=2",
        "--set", "discriminator_filters=2", "--set", "validation_images=2", "--set", "sample_images=1"]  # fmt: skip
# Dies the hard way right after the first checkpoint is on the disk.
_KILLED_AFTER_FIRST_SAVE = """
import os, signal, sys
sys.path.insert(0, {repository!r})
import common_tf.runs.checkpoints as module
save = module.Checkpoints.save
def save_and_die(self):
    save(self)
    os.kill(os.getpid(), signal.SIGKILL)
module.Checkpoints.save = save_and_die
import train_cyclegan
train_cyclegan.main(sys.argv[1:])
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def _command(*words):
    return [sys.executable, "train_cyclegan.py", *TINY, *map(str, words)]


def _run(*words) -> Done:
    """The script in this process: the same code path as a shell's, without importing TensorFlow again."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_script(train_cyclegan.main, [*TINY, *map(str, words)])
    return Done(code, out.getvalue(), err.getvalue())


def _run_alone(*words) -> Done:
    """The script in a process of its own."""
    done = subprocess.run(_command(*words), cwd=REPOSITORY, capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)


def _state(run: Path) -> dict:
    reader = tf.train.load_checkpoint(str(run / "checkpoints"))
    names = [n for n in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in n and "seconds" not in n]
    return {name: reader.get_tensor(name) for name in names}


VARIANTS = {
    "fast": ["--set", "generator=light"],
    "slices of volumes with their neighbours": ["--set", "neighbours=1"],
    "identity, dropout, three channels": ["--channels", "3", "--batch-size", "2", "--set", "identity_weight=5"],
}


@pytest.mark.more
@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_and_continued_equals_uninterrupted_to_the_bit(phantom_folder, drawn_volumes, tmp_path, variant):
    data = drawn_volumes if "volumes" in variant else phantom_folder
    options = ["--data", data, "--steps", "6", "--save-every", "0", "--save-every-steps", "3",
               "--set", "pool_size=2", *VARIANTS[variant]]  # fmt: skip
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert _run(*options, "--run", whole).returncode == 0
    driver = _KILLED_AFTER_FIRST_SAVE.format(repository=str(REPOSITORY))
    command = [sys.executable, "-c", driver, *_command(*options, "--run", broken)[2:]]
    assert subprocess.run(command, cwd=REPOSITORY, capture_output=True).returncode == -signal.SIGKILL
    assert int(_state(broken)["step/.ATTRIBUTES/VARIABLE_VALUE"]) == 3
    done = _run(*options, "--run", broken)
    assert done.returncode == 0 and "continuing after step 3" in done.stdout
    expected, got = _state(whole), _state(broken)
    assert expected.keys() == got.keys()
    assert any("optimizer" in name for name in got) and any("averages" in name for name in got)
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
    histories = [
        [{k: v for k, v in line.items() if k != "seconds"} for line in read_history(run)] for run in (whole, broken)
    ]
    assert histories[0] == histories[1] and [line["step"] for line in histories[0]] == [1, 2, 3, 4, 5, 6]


@pytest.fixture(scope="module")
def trained(phantom_folder, tmp_path_factory):
    """A finished run of 4 steps on folders; tests that write to it copy it."""
    run = tmp_path_factory.mktemp("runs") / "trained"
    done = _run("--data", phantom_folder, "--steps", "4", "--run", run)
    assert done.returncode == 0, done.stderr
    return run, done.stdout


def test_a_run_folder_has_what_it_promises(trained):
    run, printed = trained
    for name in ("config.yaml", "manifest.csv", "audit.json", "preparation.yaml", "history.jsonl", "status.json"):
        assert (run / name).stat().st_size, name
    assert list((run / "tensorboard").iterdir()) and list((run / "samples").glob("*.png"))
    assert (run / "weights" / "best.json").exists() and (run / "weights" / "last.json").exists()
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "complete" and status["step"] == 4
    assert "audit:" in printed and "10 train, 2 validation, 4 test" in printed
    line = read_history(run)[-1]
    assert line["step"] == 4 and "validation_score" in line and line["epoch"] == 1


def test_more_steps_continue_and_anything_else_is_refused(trained, phantom_folder, tmp_path):
    run = shutil.copytree(trained[0], tmp_path / "run")
    done = _run("--data", phantom_folder, "--steps", "6", "--run", run)
    assert done.returncode == 0 and "continuing after step 4" in done.stdout
    assert [line["step"] for line in read_history(run)] == [1, 2, 3, 4, 5, 6]
    for words, message in (
        (("--seed", "1"), "seed: 0 -> 1"),
        (("--resume", "never"), "holds a run already"),
    ):
        done = _run("--data", phantom_folder, "--steps", "6", "--run", run, *words)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1


def test_changed_data_are_refused(trained, phantom_folder, tmp_path):
    run, data = tmp_path / "run", shutil.copytree(phantom_folder, tmp_path / "data")
    assert _run("--data", data, "--steps", "1", "--run", run).returncode == 0
    (data / "trainA" / "head3.png").unlink()
    done = _run("--data", data, "--steps", "2", "--run", run)
    assert done.returncode == 2 and "the data have changed" in done.stderr


@pytest.mark.more
def test_the_same_data_elsewhere_continue(trained, phantom_folder, tmp_path):
    """A trailing slash, and a folder that was moved: where data lie is not what a run computes."""
    run, data = shutil.copytree(trained[0], tmp_path / "run"), shutil.copytree(phantom_folder, tmp_path / "moved")
    done = _run("--data", f"{data}/", "--steps", "5", "--run", run)
    assert done.returncode == 0 and "continuing after step 4" in done.stdout, done.stderr
    done = _run("--data", data, "--steps", "6", "--run", run)
    assert done.returncode == 0 and "continuing after step 5" in done.stdout, done.stderr


@pytest.mark.more
@pytest.mark.parametrize("damage", ["cut", "empty state", "no state"])
def test_damaged_checkpoints_are_passed_over(trained, phantom_folder, tmp_path, damage):
    run = shutil.copytree(trained[0], tmp_path / "run")
    assert _run("--data", phantom_folder, "--steps", "5", "--run", run).returncode == 0
    folder = run / "checkpoints"
    newest = max(folder.glob("ckpt-*.data-*"), key=lambda path: int(path.name.split("-")[1].split(".")[0]))
    if damage == "cut":
        newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    elif damage == "empty state":
        (folder / "checkpoint").write_text("")
    else:
        (folder / "checkpoint").unlink()
    done = _run("--data", phantom_folder, "--steps", "6", "--run", run)
    assert done.returncode == 0, done.stderr
    assert f"continuing after step {4 if damage == 'cut' else 5}" in done.stdout
    assert ("going on from ckpt-1" in done.stdout) == (damage == "cut")
    assert [line["step"] for line in read_history(run)] == [1, 2, 3, 4, 5, 6]
    shutil.rmtree(folder)
    done = _run("--data", phantom_folder, "--steps", "7", "--run", run)
    assert done.returncode == 2 and "holds no checkpoint" in done.stderr and done.stderr.count("\n") == 1


def test_fewer_steps_than_are_done_say_so(trained, phantom_folder):
    done = _run("--data", phantom_folder, "--steps", "3", "--run", trained[0])
    assert done.returncode == 0 and "has 4 steps already, more than the 3" in done.stdout
    assert "nothing to do: 4 steps are done" in done.stdout
    assert json.loads((trained[0] / "status.json").read_text())["step"] == 4


def test_a_run_says_what_it_computes_with(trained):
    record = json.loads((trained[0] / "environment.json").read_text())
    assert record["tensorflow"] == tf.__version__ and record["policy"] in ("float32", "mixed_bfloat16")


@pytest.mark.more
def test_a_run_goes_on_in_its_own_arithmetic(phantom_folder, tmp_path, monkeypatch):
    run = tmp_path / "run"
    for has, step in ((True, 1), (False, 2)):
        monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda has=has: has)
        done = _run("--data", phantom_folder, "--steps", step, "--run", run)
        assert done.returncode == 0 and "mixed_bfloat16 on" in done.stdout
    assert "going on in mixed_bfloat16, as the run was begun" in done.stdout


@pytest.mark.more
def test_ctrl_c_saves_and_continues(phantom_folder, tmp_path):
    run = tmp_path / "run"
    command = _command(
        "--data", phantom_folder, "--steps", "100000", "--run", run, "--save-every", "0", "--save-every-steps", "0"
    )
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if (run / "history.jsonl").exists() and len(read_history(run)) > 2:
            break
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command continues" in printed and "Traceback" not in errors
    stopped = int(re.search(r"stopped after step (\d+)", printed).group(1))
    assert json.loads((run / "status.json").read_text())["step"] == stopped
    done = _run(
        "--data", phantom_folder, "--steps", stopped + 1, "--run", run, "--save-every", "0", "--save-every-steps", "0"
    )
    assert done.returncode == 0 and f"continuing after step {stopped}" in done.stdout
    assert [line["step"] for line in read_history(run)] == list(range(1, stopped + 2))


@pytest.mark.more
def test_notebook_prints_the_notebooks_lines(phantom_folder, tmp_path):
    """Epoch 15 is ckpt-3, and the three lines are those of the Kaggle notebook."""
    run = tmp_path / "run"
    done = _run(
        "--preset",
        "notebook",
        "--data",
        phantom_folder,
        "--run",
        run,
        "--epochs",
        "15",
        "--set",
        "validate_every_steps=100000",
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^Mean MSE Loss for Epoch 15: \d+\.\d+$", done.stdout, re.M)
    assert re.search(r"^Saving checkpoint for epoch 15 at \S+ckpt-3$", done.stdout, re.M)
    assert re.search(r"^Time taken for epoch 15 is \d+\.\d+ sec$", done.stdout, re.M)
    assert len(re.findall("^Saving checkpoint", done.stdout, re.M)) == 3


def test_phantom_run_is_scored_against_the_truth(tmp_path):
    run = tmp_path / "run"
    done = _run("--run", run, "--steps", "2", "--set", "phantoms=4")
    assert done.returncode == 0, done.stderr
    scores = json.loads((run / "phantom_scores.json").read_text())
    assert set(scores["directions"]) == {"CT2MRI", "MRI2CT"}
    rows = scores["directions"]["CT2MRI"]
    assert rows["floor: intensity table"]["mae"]["value"] < rows["floor: copy of the input"]["mae"]["value"]
    assert all(v["low"] <= v["value"] <= v["high"] for row in rows.values() for v in row.values())
    assert "floor: intensity table" in done.stdout
    assert len(list((run / "translated" / "CT2MRI").glob("*.png"))) == scores["n"]
    assert Image.open(run / "phantoms.png").text["Synthetic"] == "true"


def _bad(kind, data: Path):
    folder = data / "trainA"
    if kind == "empty folder":
        shutil.rmtree(folder)
        folder.mkdir()
    elif kind == "truncated JPEG":
        Image.open(folder / "head1.png").save(folder / "cut.jpg")
        (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    elif kind == "text named .png":
        (folder / "text.png").write_text("hello")
    elif kind == "all-black slices":
        for path in folder.iterdir():
            Image.new("L", (64, 64)).save(path)
    elif kind == "one image":
        for path in sorted(folder.iterdir())[1:]:
            path.unlink()


@pytest.mark.parametrize(
    "kind, message",
    [
        ("empty folder", "no image files"),
        ("truncated JPEG", "trainA/cut.jpg: truncated"),
        ("text named .png", "trainA/text.png: not an image"),
        ("all-black slices", "constant"),
        ("one image", "1 usable image"),
    ],
)
def test_bad_data_is_one_line_and_leaves_nothing(phantom_folder, tmp_path, kind, message):
    data = shutil.copytree(phantom_folder, tmp_path / "data")
    _bad(kind, data)
    done = _run("--data", data, "--run", tmp_path / "run", "--steps", "1")
    assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_missing_data_folder(tmp_path):
    done = _run("--data", tmp_path / "nowhere", "--run", tmp_path / "run")
    assert done.returncode == 2 and "no such folder" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_no_write_permission(phantom_folder, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    done = _run("--data", phantom_folder, "--run", tmp_path / "locked" / "run", "--steps", "1")
    assert done.returncode == 2 and "no permission" in done.stderr


def test_read_only_disk(phantom_folder, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = _run("--data", phantom_folder, "--run", small_disk / "run", "--steps", "1")
    assert done.returncode == 2 and "read-only" in done.stderr and done.stderr.count("\n") == 1


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_full_disk_is_one_line_and_keeps_what_was_whole(phantom_folder, small_disk):
    run = small_disk / "run"
    done = _run_alone("--data", phantom_folder, "--run", run, "--steps", "60", "--save-every-steps", "2")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "no space left" in done.stderr and done.stderr.count("\n") == 1
    assert not list(run.rglob(".writing-*")) and not list(run.rglob("*.tempstate*"))
    state = run / "checkpoints" / "checkpoint"
    if state.exists() and state.stat().st_size:
        assert int(tf.train.load_checkpoint(str(run / "checkpoints")).get_tensor("step/.ATTRIBUTES/VARIABLE_VALUE")) > 0
