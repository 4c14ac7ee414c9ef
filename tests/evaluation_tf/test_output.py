"""Whose folder is it? A report replaces a report, and nothing else."""

import json
import os

import pytest

from common_tf.errors import UserError
from common_tf.files import WRITING
from evaluation_tf.output import MARKER_FILE, ReportFolder

_TABLE, _FIGURE = "tables/one.csv", "figures/parts/one.png"


def _write(path, *, tables=("one",), figures=("parts/one.png",)):
    with ReportFolder(path) as folder:
        for file in figures:
            (folder.figures / file).parent.mkdir(parents=True, exist_ok=True)
            (folder.figures / file).write_text("a figure")
        section = {"tables": dict.fromkeys(tables, {}), "figures": [{"file": file} for file in figures]}
        folder.publish(page="a page", record={"sections": {"s": section}}, tables=dict.fromkeys(tables, "a table"))


def test_a_report_replaces_its_own_tables_and_figures_only(tmp_path):
    _write(tmp_path / "report")
    (tmp_path / "report" / "figures" / "mine.png").write_text("mine")
    (tmp_path / "report" / "tables" / "mine.csv").write_text("mine")
    _write(tmp_path / "report", tables=("two",), figures=())
    left = sorted(
        str(file.relative_to(tmp_path / "report")) for file in (tmp_path / "report").rglob("*") if file.is_file()
    )
    assert left == [MARKER_FILE, "figures/mine.png", "report.html", "report.json", "tables/mine.csv", "tables/two.csv"]


def test_a_folder_of_somebody_else_is_refused_whatever_it_holds(tmp_path):
    for number, name in enumerate(("letter.txt", "cache/results.npz", "figures/mine.png", "report.json")):
        folder = tmp_path / str(number)
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("{}")
        with pytest.raises(UserError, match="holds other files"):
            ReportFolder(folder)
        assert [file for file in folder.rglob("*") if file.is_file()] == [folder / name]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        ReportFolder(tmp_path / "file")


def test_a_refused_evaluation_leaves_nothing_and_an_old_report_whole(tmp_path):
    new = tmp_path / "a" / "b"
    with pytest.raises(UserError), ReportFolder(new) as folder:
        (folder.figures / "half.png").write_text("half")
        folder.cache.arrays("key", lambda: {"x": [1]})
        raise UserError("no")
    assert not (tmp_path / "a").exists()
    _write(new)
    before = {file: file.read_bytes() for file in new.rglob("*") if file.is_file()}
    with pytest.raises(UserError), ReportFolder(new) as folder:
        (folder.figures / "half.png").write_text("half")
        raise UserError("no")
    assert {file: file.read_bytes() for file in new.rglob("*") if file.is_file()} == before


def test_what_a_killed_evaluation_left_is_removed_and_its_cache_used(tmp_path):
    with pytest.raises(KeyboardInterrupt), ReportFolder(tmp_path / "report") as folder:
        folder.cache.arrays("key", lambda: {"x": [1]})
        raise KeyboardInterrupt
    dead = tmp_path / "report" / f"{WRITING}{2**22 + 1}"  # no process can have this number
    (dead / "figures").mkdir(parents=True)
    alive = tmp_path / "report" / f"{WRITING}{os.getppid()}"
    alive.mkdir()
    with ReportFolder(tmp_path / "report") as folder:
        folder.cache.arrays("key", lambda: pytest.fail("is in the cache"))
        assert not dead.exists() and alive.exists()


def test_a_damaged_record_is_named(tmp_path):
    _write(tmp_path / "report")
    for text in ("{", json.dumps({"sections": {"s": {}}}), json.dumps({"sections": []})):
        (tmp_path / "report" / "report.json").write_text(text)
        with pytest.raises(UserError, match="report.json"):
            ReportFolder(tmp_path / "report")
    assert (tmp_path / "report" / _TABLE).exists() and (tmp_path / "report" / _FIGURE).exists()


def test_no_record_reaches_out_of_its_folder(tmp_path):
    _write(tmp_path / "report")
    outside = tmp_path / "outside.png"
    outside.write_text("mine")
    section = {"tables": {}, "figures": [{"file": "../../outside.png"}, {"file": str(outside)}]}
    (tmp_path / "report" / "report.json").write_text(json.dumps({"sections": {"s": section}}))
    _write(tmp_path / "report")
    assert outside.exists()
