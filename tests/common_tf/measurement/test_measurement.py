import json
import math

import numpy as np
import pytest

from common_tf.measurement.measurement import Measurement, interval_words, measure, number, plain_number
from common_tf.measurement.resampling import grouped_statistic
from common_tf.metrics.classification import measured_metrics


def test_a_measurement_knows_its_n_its_interval_and_what_that_is_of(random):
    values, groups = random.standard_normal(12), np.repeat(np.arange(4), 3)
    found = measure(values, groups, of="patients")
    assert (found.value, found.low, found.high) == grouped_statistic(values, groups)
    assert (found.n, found.groups) == (12, 4) and found.has_interval
    assert found.interval == "95 % percentile bootstrap over 4 patients" == interval_words(4, "patients")
    assert measure(values).interval == "95 % percentile bootstrap over 12 images"


def test_the_same_figure_has_the_same_interval_wherever_it_stands(random):
    """Accuracy as a classifier's figure, and as the mean of its hits."""
    truth, groups = random.integers(0, 2, 40), np.repeat(np.arange(10), 4)
    chances = np.clip(truth * 0.4 + random.uniform(0, 0.6, 40), 0, 1)
    hits = ((chances >= 0.5) == truth).astype(float)
    one = measured_metrics(truth, np.stack([1 - chances, chances], axis=1), groups, of="patients")["accuracy"]
    other = measure(hits, groups, of="patients")
    for name in ("value", "low", "high", "n", "groups"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12), name
    assert one.interval == other.interval
    assert measure(hits, groups) == measure(hits, groups)


def test_medians_are_resampled_as_medians(random):
    values = random.standard_normal(15)
    found = measure(values, statistic=np.median)
    assert found.value == np.median(values) and found.low <= found.value <= found.high


def test_what_is_not_defined_does_not_count():
    found = measure(np.array([1.0, np.nan, 3.0, 5.0]), np.array(["a", "a", "b", "b"]))
    assert (found.value, found.n, found.groups) == (3.0, 3, 2)
    empty = measure(np.array([np.nan, np.nan]))
    assert math.isnan(empty.value) and (empty.n, empty.groups) == (0, 0) and not empty.has_interval
    assert measure(np.array([])).n == 0


def test_one_group_has_no_interval():
    found = measure(np.array([1.0, 3.0]), np.array(["a", "a"]))
    assert (found.value, found.groups, found.interval, found.has_interval) == (2.0, 1, "", False)


def test_json_has_null_where_nothing_is_defined():
    record = Measurement(float("nan"), 3, note="a word").as_dict()
    assert record == {"value": None, "low": None, "high": None, "n": 3, "groups": 0, "note": "a word"}
    found = measure(np.array([1.0, 2.0, 4.0])).as_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found and found["interval"]


def test_text():
    assert measure(np.array([2.0, 2.0])).text(2) == "2.00 [2.00, 2.00]"
    assert plain_number(0.12345, 7).text() == "0.123" and plain_number(1, 7, "a note").note == "a note"
    texts = [number(value) for value in (None, float("nan"), float("inf"), -float("inf"), 0.5)]
    assert texts == ["–", "–", "∞", "−∞", "0.500"]
