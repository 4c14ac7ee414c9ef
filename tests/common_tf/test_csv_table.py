"""Names in tables that spreadsheets open."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common_tf.csv_table import csv_text, csv_text_of, read_csv

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=8)


@given(st.lists(st.lists(st.one_of(CELLS, st.sampled_from("='@-+").map(lambda c: c + "1+1")), min_size=2, max_size=2)))
def test_every_name_is_read_back_as_it_was(rows):
    header, found = read_csv(io.StringIO(csv_text(["a", "b"], rows), newline=""))
    assert header == ["a", "b"] and found == rows


@pytest.mark.parametrize("name", ["=1+1", "+x", "-x", "@SUM(1)", "\tx", '=HYPERLINK("http://x")', "--1"])
def test_no_cell_is_a_formula(name):
    _, (cells,) = read_csv(io.StringIO(csv_text([name], [[name]])))
    assert cells == [name]
    for (cell,) in csv.reader(io.StringIO(csv_text([name], [[name]]))):
        assert cell == "'" + name


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-inf", "1e-3", "", "'", "'x", "a=b", -0.5, 3, None])
def test_numbers_and_plain_names_stay(cell):
    plain = io.StringIO()
    csv.writer(plain, lineterminator="\n").writerows([["a", "b"], ["x", cell]])
    assert csv_text_of(["a", "b"], [{"a": "x", "b": cell}]) == plain.getvalue()


def test_an_empty_file_has_no_header():
    with pytest.raises(ValueError):
        read_csv(io.StringIO(""))
