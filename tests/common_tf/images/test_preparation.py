import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common_tf.errors import UserError
from common_tf.images.intensity import quantise, to_signed, to_unit, to_unit_from_signed, value_range
from common_tf.images.phantom import draw_phantom
from common_tf.images.preparation import (
    Preparation,
    learn_preparation,
    load_preparations,
    prepare,
    restore,
    save_preparations,
)


@pytest.mark.parametrize("bits, largest, expected", [(8, 12, 255), (16, 4095, 4095), (16, 4096, 8191), (16, 3, 255)])
def test_value_range(bits, largest, expected):
    assert value_range(bits=bits, largest=largest) == expected


@given(st.integers(0, 255))
@settings(deadline=None)
def test_intensity_round_trip(value):
    pixels = np.array([[value]], np.uint8)
    unit = to_unit(pixels, maximum=255)
    np.testing.assert_array_equal(quantise(to_unit_from_signed(to_signed(unit))), pixels)


@pytest.mark.parametrize("framing", ["head", "whole"])
def test_prepare_and_restore_keep_head_and_size(framing):
    phantom = draw_phantom(2, size=150)
    picture = np.zeros((150, 190), np.float32)
    picture[:, 20:170] = phantom.mri
    preparation = Preparation(framing=framing, maximum=255, reference=0.8)
    square = prepare(quantise(picture), preparation, bits=8, size=128)
    back = restore(square.pixels, square)
    assert square.pixels.shape == (128, 128) and back.shape == picture.shape
    inside = np.zeros_like(picture, bool)
    inside[:, 20:170] = phantom.head
    assert np.corrcoef(back[inside], picture[inside])[0, 1] > 0.93


def test_head_framing_blackens_the_background():
    phantom = draw_phantom(0, size=128)
    picture = np.maximum(phantom.ct, 0.02)
    picture[:6, :40] = 1.0  # burnt-in letters
    square = prepare(quantise(picture), Preparation("head", 255, 0.9), bits=8, size=64)
    assert square.pixels[:4].max() < 1e-3
    assert square.background == 0


def test_twelve_bits_in_sixteen_use_the_domain_scale():
    ramp = np.tile(np.linspace(0, 4095, 32).astype(np.uint16), (32, 1))
    learned = learn_preparation(framing="whole", extents=[], bits=16, largest=4095)
    assert prepare(ramp, learned, bits=16, size=32).pixels.max() == pytest.approx(1.0)


def test_saving(tmp_path):
    preparations = {"CT": Preparation("head", 255, 0.875), "MRI": Preparation("head", 4095, 0.95)}
    save_preparations(tmp_path / "p.yaml", preparations)
    assert load_preparations(tmp_path / "p.yaml") == preparations
    with pytest.raises(UserError, match="missing or damaged"):
        load_preparations(tmp_path / "none.yaml")
