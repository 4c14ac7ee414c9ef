import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.files import (
    WRITING,
    plain,
    read_json,
    refuse_used,
    remove_unfinished,
    replace_file,
    replace_json,
    replace_text,
    staged_folder,
)


def test_a_file_is_replaced_whole(tmp_path):
    replace_text(tmp_path / "a.txt", "grüße\n")
    replace_text(tmp_path / "a.txt", "new\n")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new\n" and os.listdir(tmp_path) == ["a.txt"]


def test_the_old_one_stays_when_writing_fails(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(path: Path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError):
        replace_file(target, fail)
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_the_temporary_name_keeps_the_ending(tmp_path):
    seen = []
    replace_file(tmp_path / "a.weights.h5", lambda path: (seen.append(path.name), path.touch()))
    assert seen[0].endswith("a.weights.h5") and seen[0] != "a.weights.h5"


def test_names_as_long_as_a_name_may_be(tmp_path):
    """Also while they are written, and what a killed writer left of them is found."""
    file = tmp_path / ("ü" * 120 + "n" * 8 + ".nii.gz")
    assert len(os.fsencode(file.name)) == 255
    seen = []
    replace_file(file, lambda place: (seen.append(place.name), place.write_text("whole")))
    assert file.read_text() == "whole" and seen[0].endswith(".nii.gz") and len(os.fsencode(seen[0])) <= 255
    folder = tmp_path / ("f" * 255)
    with staged_folder(folder) as staging:
        (staging / "a").write_text("1")
    assert (folder / "a").read_text() == "1"
    other = tmp_path / ("g" * 255)
    with staged_folder(other) as staging:
        left = tmp_path / staging.name.replace(str(os.getpid()), "99999999")
    left.mkdir()
    (other).rmdir()
    with staged_folder(other):
        assert not left.exists()


def test_json_never_holds_nan_or_infinity(tmp_path):
    value = {
        "a": float("nan"),
        "b": [np.float32("inf"), -np.inf, 1.5],
        "c": np.array([[1.0, np.nan]]),
        "d": {"e": np.float64("nan"), 3: (1, np.int64(2))},
        "f": [np.bool_(True), None, "text"],
    }
    replace_json(tmp_path / "a.json", value)

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    content = json.loads((tmp_path / "a.json").read_text(), parse_constant=refuse)
    assert content == {
        "a": None,
        "b": [None, None, 1.5],
        "c": [[1.0, None]],
        "d": {"e": None, "3": [1, 2]},
        "f": [True, None, "text"],
    }


def test_plain_values_stay_as_they_are():
    value = {"a": [1, 2.5, "x", True, None]}
    assert plain(value) == value


@pytest.mark.parametrize(
    "content, reason",
    [
        (None, "not found"),
        (b"", "empty or damaged"),
        (b'{"a": 1', "empty or damaged"),
        (b"\xe9", "damaged"),
        (b"[1]", "no JSON object"),
    ],
)
def test_json_that_cannot_be_read_is_named_with_the_way_out(tmp_path, content, reason):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=f"a.json: .*{reason}.*; do this"):
        read_json(tmp_path / "a.json", way_out="do this")


def test_good_json_is_read(tmp_path):
    replace_json(tmp_path / "a.json", {"a": 1})
    assert read_json(tmp_path / "a.json", way_out="") == {"a": 1}


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = os.getppid()
    for place in ("", "weights"):
        (tmp_path / place).mkdir(exist_ok=True)
        for process in (dead.pid, alive, os.getpid()):
            (tmp_path / place / f"{WRITING}{process}-a.h5").write_text("half")
    (tmp_path / f"{WRITING}{dead.pid}").mkdir()
    (tmp_path / f"{WRITING}{dead.pid}" / "b.png").write_text("half")
    (tmp_path / "a.h5").write_text("whole")
    remove_unfinished(tmp_path)
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted([f"{WRITING}{alive}-a.h5", "a.h5", f"weights/{WRITING}{alive}-a.h5"])


@pytest.mark.parametrize("there", [False, True])
def test_a_staged_folder_comes_whole_and_after_a_kill_too(tmp_path, there):
    output = tmp_path / "a[b]"
    if there:
        output.mkdir()
    # What a process of the same number left, as in a container where every start has number 7.
    left = output / f"{WRITING}{os.getpid()}" if there else tmp_path / f"{WRITING}{os.getpid()}-a[b]"
    left.mkdir()
    (left / "old.txt").write_text("half")
    refuse_used(output)
    with staged_folder(output, first="table.csv") as staging:
        (staging / "sub").mkdir()
        (staging / "sub" / "x.txt").write_text("x")
        (staging / "table.csv").write_text("t")
    assert sorted(path.name for path in output.rglob("*") if path.is_file()) == ["table.csv", "x.txt"]
    with pytest.raises(RuntimeError), staged_folder(output) as staging:
        (staging / "y.txt").write_text("y")
        raise RuntimeError
    assert not (output / "y.txt").exists() and not list(tmp_path.rglob(f"{WRITING}*"))
    with pytest.raises(UserError, match="is in use"):
        refuse_used(output)
