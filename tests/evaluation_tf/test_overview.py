"""A picture at the head of a question: which values, and what of them stands in words."""

import json

import numpy as np
import pytest
from PIL import Image

from common_tf.measurement.measurement import Measurement, measure, plain_number
from common_tf.measurement.tables import Column, Row, Table
from evaluation_tf.output import ReportFolder
from evaluation_tf.overview import leading_column, overviews
from evaluation_tf.parts import Section
from evaluation_tf.report import write_report

_COLUMNS = [Column("n", "Count", "", ""), Column("mae", "MAE", "error", "lower"), Column("ssim", "SSIM", "", "higher")]


def _table(key="pairs", **cells):
    rows = [
        Row("translator", {"n": plain_number(3, 3), "mae": Measurement(0.1, 9, 0.08, 0.12, 9, "95 %"), **cells}),
        Row("floor: copy", {"n": plain_number(3, 3), "mae": plain_number(0.25, 9)}, "floor"),
        Row("floor: $odd_name$", {"n": plain_number(3, 3), "mae": plain_number(float("nan"), 0)}, "floor"),
    ]
    return Table(key, "CT to MRI", _COLUMNS, rows)


def test_the_leading_column_has_a_direction_a_result_and_a_floor():
    assert leading_column(_table()).key == "mae"
    alone = Table("t", "", _COLUMNS, [Row("a", {"mae": plain_number(1, 1)}), Row("b", {"mae": plain_number(2, 1)})])
    assert leading_column(alone) is None
    assert leading_column(Table("t", "", _COLUMNS[:1], _table().rows)) is None
    assert leading_column(Table("t", "", _COLUMNS, [Row("text", {"mae": "words"})])) is None


def test_what_is_drawn_stands_in_words_too(tmp_path):
    section = Section("pairs", "Is it right?", "", tables=[_table(f"t{number}") for number in range(6)])
    made = overviews(section, tmp_path)
    assert [one.file for one in made] == [f"overview_t{number}.png" for number in range(4)]
    assert made[0].alt == "CT to MRI, MAE: translator 0.100, floor: copy 0.250"
    with Image.open(tmp_path / made[0].file) as image:
        assert image.size[0] > 400


@pytest.mark.parametrize("has_floor", [True, False])
def test_tables_are_folded_where_a_picture_stands_above(has_floor, tmp_path):
    table = _table() if has_floor else Table("t", "T", _COLUMNS, _table().rows[:1])
    with ReportFolder(tmp_path / "report") as folder:
        page = write_report(
            folder, title="t", subtitle="", sections=[Section("s", "S", "", tables=[table])], gaps=[], warnings=[],
            provenance={},
        ).read_text()  # fmt: skip
    assert ('<details class="tables" open>' in page) != has_floor
    assert page.count("data:image/png") == int(has_floor)
    if has_floor:
        assert page.index("data:image/png") < page.index('<details class="tables">')


def test_intervals_over_few_are_named_wherever_they_stand(tmp_path):
    """The one that says least of others, once; five patients are enough, and one slice of one claims nothing."""

    def said(*groups):
        cells = [measure(np.arange(float(len(one))), np.array(one), of="patients") for one in groups]
        rows = [Row("many", {"mae": measure(np.arange(5.0), np.arange(5), of="patients")})]
        rows += [Row("row", {"mae": cell}) for cell in cells]
        section = Section("pairs", "Is it right?", "", tables=[Table("pairs", "", _COLUMNS, rows)])
        with ReportFolder(tmp_path / "out") as folder:
            write_report(folder, title="T", subtitle="", sections=[section], gaps=[], warnings=[], provenance={})
        found = json.loads((tmp_path / "out" / "report.json").read_text())["warnings"]
        assert all(warning in (tmp_path / "out" / "report.html").read_text() for warning in found)
        return found

    assert said() == said([0]) == []
    (warning,) = said([0, 0, 1, 1], [0, 1, 2])
    assert warning == "Is it right? The 95 % percentile bootstrap over 2 patients says little of others"
    (warning,) = said([0, 0, 1, 1], [3, 3])
    assert "figures of one patient or group alone" in warning
