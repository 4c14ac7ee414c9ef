import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.files import plain, read_json, replace_file, replace_json, replace_text


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
