"""What benchmarks make of the runs they measure; the trainings themselves are tested elsewhere."""

import csv
import json

import pytest

from benchmarks import time_to_quality
from common_tf.errors import UserError
from cyclegan_tf.config import config_types, make_config


def _line(step, **figures):
    return json.dumps({"step": step, "seconds": 60.0 * step, **figures}) + "\n"


def test_every_validation_is_a_point(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    figures = {f"validation_{name}": 0.5 for name in time_to_quality.COLUMNS}
    (run / "history.jsonl").write_text(_line(1) + _line(2, **figures) + _line(4, **figures))
    points = time_to_quality._points("PatchGAN", run)
    assert [(point["step"], point["minutes"]) for point in points] == [(2, 2.0), (4, 4.0)]
    time_to_quality._write(points, tmp_path / "quality")
    with open(tmp_path / "quality" / "quality.csv", newline="") as stream:
        assert [row["kid_a_to_b"] for row in csv.DictReader(stream)] == ["0.5", "0.5"]
    assert (tmp_path / "quality" / "quality.png").read_bytes().startswith(b"\x89PNG")
    (run / "history.jsonl").write_text(_line(1))
    with pytest.raises(UserError, match="ten validation slices"):
        time_to_quality._points("PatchGAN", run)


def test_its_curves_are_settings_that_exist():
    for words in time_to_quality.CURVES.values():
        given = dict(word.split("=", 1) for word in words if "=" in word)
        config = make_config({**given, "model": words[1]})
        assert isinstance(config, config_types()[words[1]])
