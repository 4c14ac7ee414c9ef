"""A few attempts of each campaign; `make campaign` makes them by the thousand. And that they notice what is lost."""

import argparse
import importlib
import random
import sys
from pathlib import Path

import pytest

from tests.campaigns import commands, resources, stems
from tests.campaigns.__main__ import _jobs
from tests.campaigns.kills import TASKS
from tests.campaigns.mutations import KINDS, attack, mutate
from tests.campaigns.page import Found, page
from tests.campaigns.processes import Ended, run

_SLOW = {"translator records", "translator weights", "detector", "detector records", "records"}


_NAMES = [pytest.param(name, marks=pytest.mark.more if name in _SLOW else ()) for name in KINDS]


@pytest.mark.parametrize("name", _NAMES)
def test_damaged_files_are_read_or_refused_in_a_line(name):
    found = attack(name, KINDS[name], 25, seed=1, keep=None)
    assert not found.losses and found.tried == 25
    assert ", 0 refused" not in found.words or name in ("bmp", "checkpoint")  # an older checkpoint is taken


def test_changes_change_and_follow_from_the_seed():
    content = bytes(range(256)) * 4
    made = [mutate(content, random.Random(seed)) for seed in range(60)]
    assert made == [mutate(content, random.Random(seed)) for seed in range(60)]
    assert sum(one != content for one in made) > 50 and len({len(one) for one in made}) > 10


@pytest.mark.more
def test_what_a_machine_lacks_is_a_line():
    """A translation on full and locked disks, with few files, long names, and twice at once."""
    found = resources.attack("translation", TASKS["translation"], mounts=resources.can_mount())
    assert len(found) >= 4 and not [one for one in found if one.lost], found


@pytest.mark.parametrize("keep", [None, Path("lost")])
def test_every_campaign_takes_the_words_that_the_page_gives_it(keep, monkeypatch, tmp_path):
    jobs = _jobs(argparse.Namespace(seed=1, kills=6, count=2, commands=2, keep=keep))
    assert {campaign for campaign, _, _ in jobs} == {"kills", "stems", "resources", "commands", "mutations"}
    monkeypatch.setattr("tests.campaigns.mutations.limit_memory", lambda names: None)
    for campaign, name, words in jobs:
        module = importlib.import_module(f"tests.campaigns.{campaign}")
        one = Found(campaign, name, 1, (), "")
        listed = campaign in ("resources", "stems")
        monkeypatch.setattr(module, "attack", lambda *_, one=one, listed=listed, **__: [one] if listed else one)
        monkeypatch.setattr(sys, "argv", [campaign, *words, "--record", str(tmp_path / "record.json")])
        assert module.main() == 0


@pytest.mark.parametrize(
    ("code", "error", "good"),
    [
        (0, "", True),
        (2, "a warning\nerror: no such folder\n", True),
        (2, "error: one\nerror: two\n", False),
        (2, "error: one\nand more\n", False),
        (2, "", False),
        (0, "error: but all is well\n", False),
        (1, "", False),
        (0, "Traceback (most recent call last):\n", False),
        (None, "", False),
    ],
)
def test_how_a_command_may_end(code, error, good):
    assert (Ended(code, "", error, 100.0, 1.0).fault == "") is good
    assert Ended(code, "", error, 4000.0, 1.0).fault


def test_a_command_that_hangs_is_killed_and_its_memory_is_its_own():
    ended = run(["-c", "import time; time.sleep(60)"], environment={}, seconds=0.5)
    assert ended.code is None and ended.seconds < 20
    large = run(["-c", "data = b'x' * 300_000_000; print(len(data))"], environment={})
    assert large.code == 0 and large.out == "300000000\n" and large.megabytes > 280


def test_pictures_that_are_missing_are_noticed(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for name in ("ct.png", "mri.png"):
        (folder / name).write_bytes(b"")
    assert "no table" in commands._all_there(folder, out, "2 images")
    (out / "synthetic.csv").write_text("file,input\nct.png,ct.png\n")
    assert "mri.png" in commands._all_there(folder, out, "ct.png: cut; 1 .tif")
    assert commands._all_there(folder, out, "1 .png is not read") == "done"
    (out / "synthetic.csv").write_text("file,input\nct.png,ct.png\nmri.png,mri.png\n")
    assert commands._all_there(folder, out, "") == "done"


def test_pictures_that_were_written_over_are_noticed(tmp_path):
    table = tmp_path / "synthetic.csv"
    table.write_text("file,input\na.png,p1/a.png\na.png,p2/a.png\nb.png,p3/a.png\n")
    (tmp_path / "a.png").write_bytes(b"")
    assert stems._found(table, written=True) == 1  # of three: one twice, one that is not there


def test_the_page_adds_up():
    found = [Found("kills", "a", 10, ("differs",), "folders"), Found("files", "b", 5, (), "5 read")]
    lines = page(found)
    assert lines[1].split()[:5] == ["kills", "a", "10", "9", "1"] and lines[3].split() == ["all", "15", "14", "1"]
    assert lines[-1] == "LOST kills, a: differs"
