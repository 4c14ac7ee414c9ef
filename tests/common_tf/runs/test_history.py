import json

import pytest

from common_tf.errors import UserError
from common_tf.runs.history import History, read_history


def _history(folder, step, every=4):
    return History(folder, every=every, step=step)


def _log(history, steps, flush=()):
    for step in steps:
        history.add(step, epoch=1, seconds=step, losses={"x": step}, flush=step in flush, figures={})


def test_history_means_flushes_and_continues(tmp_path):
    history = _history(tmp_path, 0)
    _log(history, range(1, 12), flush=(6,))
    history.close()
    assert [(line["step"], line["x"]) for line in read_history(tmp_path)] == [(4, 2.5), (6, 5.5), (8, 7.5)]
    with open(tmp_path / "history.jsonl", "a") as stream:
        stream.write('{"step": 10, "x"')  # a killed run's half line
    history = _history(tmp_path, 6)
    _log(history, range(7, 13))
    history.close()
    assert [(line["step"], line["x"]) for line in read_history(tmp_path)] == [(4, 2.5), (6, 5.5), (8, 7.5), (12, 10.5)]


def test_validation_figures_are_in_their_step(tmp_path):
    history = _history(tmp_path, 0)
    history.add(1, epoch=1, seconds=0.5, losses={"x": 1.0}, flush=False, figures={"score": 2.0})
    history.close()
    assert read_history(tmp_path) == [{"step": 1, "epoch": 1, "seconds": 0.5, "x": 1.0, "validation_score": 2.0}]


def test_a_figure_that_is_not_defined_is_null_and_not_nan(tmp_path):
    history = _history(tmp_path, 0)
    figures = {"score": float("nan"), "psnr": float("inf")}
    history.add(1, epoch=1, seconds=0.5, losses={"x": 1.0}, flush=False, figures=figures)
    history.close()

    def refuse(constant):
        pytest.fail(f"{constant} is no JSON")

    line = json.loads((tmp_path / "history.jsonl").read_text(), parse_constant=refuse)
    assert line["validation_score"] is None and line["validation_psnr"] is None
    assert read_history(tmp_path)[0]["validation_score"] is None


def test_lines_that_are_none_are_dropped(tmp_path):
    (tmp_path / "history.jsonl").write_bytes(b'{"step": 1}\n\xe9\xe9\n5\n{"stop": 2}\n{"step": "a"}\n{"step": 2}\n')
    _history(tmp_path, 2).close()
    assert [line["step"] for line in read_history(tmp_path)] == [1, 2]


@pytest.mark.parametrize("content", [None, b'{"step": 1', b"\xe9"])
def test_a_missing_or_damaged_history_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "history.jsonl").write_bytes(content)
    with pytest.raises(UserError, match="history.jsonl: missing or damaged"):
        read_history(tmp_path)
