import csv
import io
import json
import math

import numpy as np
import pytest

from common_tf.measurement.measurement import Measurement, measure, plain_number
from common_tf.measurement.tables import Column, Row, Table

COLUMNS = (
    Column("mae", "MAE", "mean absolute error", "lower"),
    Column("psnr", "PSNR, dB", "-10 log10(MSE)", "higher", 2),
)
MAE = measure(np.array([0.1, 0.2, 0.3]), of="patients")


@pytest.fixture
def table():
    rows = (
        Row("translated", {"mae": MAE, "psnr": plain_number(float("nan"), 3)}, key="result"),
        Row('a "floor", odd', {"mae": plain_number(0.5, 3)}, kind="floor", key="floor"),
        Row("the document", {"mae": "as printed", "psnr": plain_number(float("inf"), 1)}, kind="document"),
    )
    return Table("similarity", "Likeness", COLUMNS, rows, caption="in the head")


def test_csv_has_a_line_a_number(table):
    lines = list(csv.DictReader(io.StringIO(table.as_csv())))
    assert [(line["row"], line["kind"], line["metric"]) for line in lines] == [
        ("translated", "result", "mae"),
        ("translated", "result", "psnr"),
        ('a "floor", odd', "floor", "mae"),
        ("the document", "document", "mae"),
        ("the document", "document", "psnr"),
    ]
    assert [float(lines[0][name]) for name in ("value", "low", "high", "n")] == [MAE.value, MAE.low, MAE.high, 3]
    assert lines[0]["interval"] == "95 % percentile bootstrap over 3 patients"
    assert (lines[1]["value"], lines[1]["n"]) == ("", "3") and lines[3]["value"] == "as printed"


def test_json_holds_every_number_with_its_definition(table):
    record = table.as_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["columns"]["psnr"] == {"title": "PSNR, dB", "definition": "-10 log10(MSE)", "better": "higher"}
    assert record["rows"][0]["mae"] == MAE.as_dict() and record["rows"][0]["psnr"]["value"] is None
    assert record["rows"][2]["mae"] == {"text": "as printed"}
    assert [row["kind"] for row in record["rows"]] == ["result", "floor", "document"]
    assert (record["title"], record["caption"]) == ("Likeness", "in the head")


def test_lines_for_a_terminal_stand_in_columns(table):
    lines = table.as_lines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["Likeness", "MAE", "PSNR,", "dB"]
    assert "0.200 [0.100, 0.300]" in lines[1] and lines[1].endswith("–")
    assert lines[2].endswith("–") and lines[3].endswith("∞")


def test_rows_are_found_by_key_and_cells_by_column(table):
    assert table.row("floor").value("mae") == 0.5 and table.row("nobody") is None
    assert math.isnan(table.rows[2].value("mae")) and math.isnan(table.row("floor").value("psnr"))
    assert isinstance(table.row("result").cells["mae"], Measurement)
