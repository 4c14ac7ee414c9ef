import sys

import pytest

from common_tf import progress as module
from common_tf.progress import TrainingProgress, progress, progress_in_parts


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand, and no terminal."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    return now


def test_items_pass_and_short_work_says_nothing(capsys, clock):
    assert list(progress(iter("abc"), total=3, words="looking")) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


def test_long_work_says_a_line_in_ten_seconds(capsys, clock):
    for _ in progress(range(6), total=6, words="looking at the files"):
        clock[0] += 6
    assert capsys.readouterr().out.splitlines() == [
        "looking at the files: 2 of 6, 00:24 left",
        "looking at the files: 4 of 6, 00:12 left",
    ]


def test_parts_are_counted_by_what_they_hold(capsys, clock):
    parts = []
    for start, part in progress_in_parts("abcdefg", size=3, words="translating"):
        parts.append((start, part))
        clock[0] += 12
    assert parts == [(0, "abc"), (3, "def"), (6, "g")]
    assert capsys.readouterr().out.splitlines() == [
        "translating: 3 of 7, 00:16 left",
        "translating: 6 of 7, 00:04 left",
    ]


def test_a_training_says_where_it_stands(capsys, clock):
    display = TrainingProgress(total=20, start=10)
    for step in range(11, 21):
        clock[0] += 4
        display.update(step, {"loss": 0.5})
    display.say("a line")
    display.close()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 13/20, 0.25 steps/s, 00:28 left: loss 0.500"
    assert [line.split(",")[0] for line in lines] == ["step 13/20", "step 16/20", "step 19/20", "step 20/20", "a line"]
