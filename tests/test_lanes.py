"""What one lane saves, the other reads: `tests/lanes/` holds small runs of both (`tests/lanes/write.py`)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from common_tf.lanes import KERAS_MAJOR, LANE

_LANES = Path(__file__).parent / "lanes"


def _write_module():
    spec = importlib.util.spec_from_file_location("lanes_write", _LANES / "write.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_lane_is_that_of_keras():
    assert LANE == ("addons" if KERAS_MAJOR == 2 else "current")


@pytest.mark.parametrize("lane", ["addons", "current"])
def test_runs_of_both_lanes_translate_and_judge_alike(lane):
    made = _write_module().outputs(_LANES / lane)
    wanted = np.load(_LANES / lane / "outputs.npz")
    assert set(made) == set(wanted.files)
    for name in wanted.files:
        assert np.ptp(wanted[name]) > 0
        np.testing.assert_allclose(made[name], wanted[name], atol=1e-5, err_msg=name)
