"""Adding a section or a metric is adding one file: it stands in the report, with no other file touched."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
_SECTION = '''
"""How bright are the outputs?"""

from common_tf.measurement.measurement import measure
from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.parts import Card, Section

ORDER = 45
_COLUMN = Column("brightness", "Brightness", "mean gray value on [0, 1], full frame")


def build(context):
    rows = []
    for source in context.translation.sources:
        fake, _ = context.translation.squares(context.test.slices[source].squares, source)
        values = context.cache.per_image("brightness", lambda images: images.mean(axis=(1, 2)), fake)
        rows.append(Row(f"from {source}", {"brightness": measure(values)}, key=source))
    section = Section("brightness", "How bright are the outputs?", "They should be as bright as real ones.")
    section.tables.append(Table("brightness", "Brightness", [_COLUMN], rows))
    section.card = Card("How bright?", "bright", "of all outputs", "open", "nobody knows")
    return section
'''
_METRIC = '''
"""Largest difference."""

import numpy as np

from common_tf.metrics.similarity._base import Metric

ORDER = 15


def largest(first, second, *, mask=None):
    """The largest absolute difference of two images."""
    difference = np.abs(first - second)
    return np.max(difference if mask is None else difference * mask, axis=(1, 2))


METRIC = Metric(largest, "Largest", "largest absolute difference", "lower", compared=True)
'''


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> Path:
    """A copy of the packages and the script, with a section and a metric more."""
    copy = tmp_path_factory.mktemp("house")
    for name in ("common_tf", "cyclegan_tf", "detector_tf", "evaluation_tf"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "evaluate.py", copy / "evaluate.py")
    (copy / "evaluation_tf" / "sections" / "brightness.py").write_text(_SECTION)
    (copy / "common_tf" / "metrics" / "similarity" / "largest.py").write_text(_METRIC)
    return copy


# Two reports, one process: importing TensorFlow takes longer than both.
_BOTH = """
import sys, evaluate
run, twin, report, compared = sys.argv[1:]
evaluate.main(["--translator", run, "--output", report])
evaluate.main(["--compare", run, twin, "--output", compared])
"""


@pytest.mark.more
def test_a_section_and_a_metric_are_one_file_each(house, drawn_run, tmp_path):
    folders = [tmp_path / name for name in ("report", "compared")]
    twin = shutil.copytree(drawn_run, tmp_path / "twin")
    command = [sys.executable, "-c", _BOTH, *map(str, (drawn_run, twin, *folders))]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr
    record, compared = (json.loads((folder / "report.json").read_text()) for folder in folders)
    names = list(record["sections"])
    assert names.index("content") + 1 == names.index("brightness") and names[-1] == "document"
    rows = record["sections"]["brightness"]["tables"]["brightness"]["rows"]
    assert [row["key"] for row in rows] == ["CT", "MRI"] and rows[0]["brightness"]["n"] == 48
    assert "How bright?" in [card["title"] for card in record["summary"]]
    assert "nobody knows" in (tmp_path / "report" / "report.html").read_text()
    for name in ("pairs_CT2MRI_head", "pairs_MRI2CT_full", "cycle_head", "cycle_full"):
        table = record["sections"][name.split("_")[0]]["tables"][name]
        assert list(table["columns"])[:2] == ["mae", "largest"]
        assert all(0 < row["largest"]["value"] <= 1 for row in table["rows"])
    tables = compared["sections"]["comparison"]["tables"]
    mine = {row["key"]: row for row in tables["compare_CT2MRI"]["rows"]}["copy"]["largest"]
    alone = {row["key"]: row for row in record["sections"]["pairs"]["tables"]["pairs_CT2MRI_head"]["rows"]}["copy"]
    assert mine == alone["largest"]
