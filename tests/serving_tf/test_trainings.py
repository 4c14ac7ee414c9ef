"""Trainings as they stand: what their folders say, also while they are written."""

import json

import pytest

from common_tf.errors import UserError
from common_tf.runs.history import HISTORY_FILE
from common_tf.runs.session import STATUS_FILE
from serving_tf import trainings
from serving_tf.trainings import find_trainings, training


def _run(folder, steps=1000, *, state="unfinished", total=2000):
    folder.mkdir(parents=True)
    (folder / "samples").mkdir()
    (folder / "weights").mkdir()
    lines = []
    for step in range(1, steps + 1):
        line = {"step": step, "epoch": 1, "seconds": step / 10, "cycle_a": 1 / step}
        lines.append({**line, "validation_kid_a_to_b": 100 - step / 100} if step % 500 == 0 else line)
    (folder / HISTORY_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 10')
    (folder / STATUS_FILE).write_text(
        json.dumps({"state": state, "step": steps, "total_steps": total, "best_step": 500})
    )
    best = {"references": {"real_kid_a_to_b": 2.0, "untranslated_kid_a_to_b": 120.0, "real_other": 1.0}}
    (folder / "weights" / "best.json").write_text(json.dumps(best))
    for step in (500, 1000):
        (folder / "samples" / f"step_{step:07d}.png").write_bytes(b"\x89PNG")
    return folder


def test_names_are_those_of_the_sessions():
    assert (trainings._HISTORY, trainings._STATUS) == (HISTORY_FILE, STATUS_FILE)


def test_where_a_training_stands(tmp_path):
    found = training(_run(tmp_path / "one"))
    assert (found["state"], found["step"], found["total"], found["best_step"]) == ("training", 1000, 2000, 500)
    assert found["left"] == pytest.approx(100.0) and found["grid"] == "step_0001000.png"
    assert found["figures"] == {"kid_a_to_b": [[500, 95.0], [1000, 90.0]]}
    assert found["floors"] == {"kid_a_to_b": {"real": 2.0, "untranslated": 120.0}}
    points = found["losses"]["cycle_a"]
    assert len(points) <= 300 and points[-1][0] == 1000
    assert points[0][1] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_a_training_that_ended_or_fell_silent(tmp_path, monkeypatch):
    assert training(_run(tmp_path / "done", state="complete", total=1000))["state"] == "complete"
    run = _run(tmp_path / "silent")
    monkeypatch.setattr(trainings, "_SILENT_SECONDS", -1.0)
    found = training(run)
    assert found["state"] == "silent" and found["left"] is None


def test_half_written_records_are_no_trouble(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / HISTORY_FILE).write_text("")
    (run / STATUS_FILE).write_text('{"state"')
    found = training(run)
    assert found["step"] == 0 and found["losses"] == {} and found["left"] is None


def test_runs_are_found_where_they_lie(tmp_path):
    for place in ("runs/a", "runs/b", "other/a"):
        _run(tmp_path / place, 2)
    found = find_trainings([tmp_path / "runs", tmp_path / "other" / "a"])
    assert {name: run.parent.name for name, run in found.items()} == {"a": "runs", "b": "runs", "other/a": "other"}
    with pytest.raises(UserError, match="no such folder"):
        find_trainings([tmp_path / "none"])


def test_the_page_shows_them(page, tmp_path):
    """Asked of the page that the other tests use, which watches nothing; and of the files that it gives."""
    assert page.client.get("/api/trainings").json() == []
    assert page.client.get("/api/trainings/a/grid").status_code == 404
    assert "watch.js" in page.client.get("/watch.html").text
