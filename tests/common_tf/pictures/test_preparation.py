import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from common_tf.errors import UserError
from common_tf.pictures.intensity import common_range, from_signed, parse_windows, quantise, to_signed
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import (
    Preparation,
    learn_preparation,
    load_preparations,
    prepare,
    restore,
    save_preparations,
)
from common_tf.pictures.readers import FileFacts

HEAD = draw_phantom(2, size=64).mri


def _facts(bits: int, smallest: int, largest: int) -> FileFacts:
    return FileFacts("PNG", "L", bits, 64, 64, smallest, largest)


def _deep(top: int) -> Picture:
    return Picture(np.round(HEAD * top).astype(np.uint16), high=65535.0)


@pytest.mark.parametrize("bits, largest, expected", [(8, 12, 255), (16, 4095, 4095), (16, 4096, 8191), (16, 3, 255)])
def test_white_is_the_smallest_power_that_holds_the_largest_value(bits, largest, expected):
    assert common_range([_facts(bits, 0, largest)], name="CT") == (0.0, expected)


def test_one_scale_a_set():
    assert common_range([_facts(16, 0, 900), _facts(8, 0, 255), _facts(16, 0, 3000)], name="CT") == (0.0, 4095.0)
    assert common_range([], name="CT") == (0.0, 255.0)


def test_values_with_an_offset_are_refused_with_the_flag_that_helps():
    with pytest.raises(UserError, match="CT: .*31744 to 34744.*--window CT=31744:34744"):
        common_range([_facts(16, 31744, 34744)], name="CT")


@given(st.integers(0, 255))
@settings(deadline=None)
def test_intensity_round_trip(value):
    pixels = np.array([[value]], np.uint8)
    np.testing.assert_array_equal(quantise(from_signed(to_signed(Picture(pixels).scaled()))), pixels)


def test_windows_are_parsed():
    assert parse_windows("", ("CT", "MRI")) == {}
    assert parse_windows("CT=-10:80, MRI=0:4095", ("CT", "MRI")) == {"CT": (-10.0, 80.0), "MRI": (0.0, 4095.0)}


@pytest.mark.parametrize(
    "text", ["CT", "CT=5", "CT=a:b", "PET=0:80", "CT=80:0", "CT=nan:5", "CT=-inf:5", "CT=0:1,CT=0:2"]
)
def test_other_windows_are_refused_by_name(text):
    with pytest.raises(UserError, match="--window"):
        parse_windows(text, ("CT", "MRI"))


@pytest.mark.parametrize("framing", ["head", "whole"])
@pytest.mark.parametrize("top", [4095, 65535])
def test_deep_copies_of_a_slice_are_prepared_like_the_8_bit_one(framing, top):
    """12 of 16 bits and 16 of 16 bits; the 8-bit copy is known to half a gray level."""
    expected = prepare(Picture(quantise(HEAD)), Preparation(framing, 0.9), size=48)
    learned = learn_preparation(framing=framing, extents=[0.9], facts=[_facts(16, 0, top)], name="MRI")
    in_8_bit_run = Preparation(framing, 0.9).for_files({"a.png": _facts(16, 0, top)}, name="MRI")
    for preparation in (learned, in_8_bit_run):
        square = prepare(_deep(top), preparation, size=48)
        assert square.frame == expected.frame
        np.testing.assert_allclose(square.pixels, expected.pixels, atol=0.75 / 255)


def test_an_8_bit_preparation_refuses_a_deep_picture_instead_of_clipping_it():
    with pytest.raises(ValueError, match="for_files"):
        prepare(_deep(4095), Preparation("whole", 1.0), size=32)


def test_files_of_a_run_on_deep_ones_keep_its_scale_or_are_refused_by_name():
    preparation = Preparation("whole", 1.0, 16, 0.0, 4095.0)
    assert preparation.for_files({"a.png": _facts(16, 0, 300)}, name="CT") == preparation
    assert preparation.for_files({"a.png": _facts(8, 0, 255)}, name="CT") == preparation
    with pytest.raises(UserError, match="above 4095.*b.png, up to 9000.*--window CT="):
        preparation.for_files({"a.png": _facts(16, 0, 300), "b.png": _facts(16, 0, 9000)}, name="CT")
    with pytest.raises(UserError, match="--window CT=2000:3000"):
        preparation.for_files({"a.png": _facts(16, 2000, 3000)}, name="CT")


def test_8_bit_files_use_their_full_range_also_beside_deep_ones():
    white = Picture(np.full((8, 8), 255, np.uint8))
    assert Preparation("whole", 1.0, 16, 0.0, 4095.0).ranged(white).scaled().max() == 1.0


def test_a_window_holds_for_files_of_any_depth():
    window = Preparation("whole", 1.0).for_files({"a.png": _facts(16, 31000, 34000)}, name="CT", window=(32768, 32848))
    pixels = np.array([[31000, 32768], [32808, 34000]], np.uint16)
    np.testing.assert_array_equal(window.ranged(Picture(pixels)).scaled(), [[0, 0], [0.5, 1]])
    narrow = learn_preparation(framing="whole", extents=[], facts=[_facts(8, 0, 255)], name="CT", window=(50, 150))
    np.testing.assert_array_equal(narrow.ranged(Picture(np.array([[0, 100, 255]], np.uint8))).scaled(), [[0, 0.5, 1]])


@pytest.mark.parametrize("framing", ["head", "whole"])
def test_prepare_and_restore_keep_head_and_size(framing):
    phantom = draw_phantom(2, size=150)
    picture = np.zeros((150, 190), np.float32)
    picture[:, 20:170] = phantom.mri
    square = prepare(Picture(quantise(picture)), Preparation(framing, 0.8), size=128)
    back = restore(square.pixels, square)
    assert square.pixels.shape == (128, 128) and back.shape == picture.shape
    inside = np.zeros_like(picture, bool)
    inside[:, 20:170] = phantom.head
    assert np.corrcoef(back[inside], picture[inside])[0, 1] > 0.93


def test_head_framing_blackens_the_background():
    phantom = draw_phantom(0, size=128)
    picture = np.maximum(phantom.ct, 0.02)
    picture[:6, :40] = 1.0  # burnt-in letters
    square = prepare(Picture(quantise(picture)), Preparation("head", 0.9), size=64)
    assert square.pixels[:4].max() < 1e-3
    assert square.background == 0


def test_the_mask_of_a_square_is_the_head_that_the_picture_knows():
    head = np.zeros((64, 64), bool)
    head[16:48, 20:44] = True
    square = prepare(Picture(quantise(HEAD), head=head), Preparation("head", 0.5), size=40)
    side = square.frame.side
    assert square.mask.sum() / 40**2 == pytest.approx(head.sum() / side**2, rel=0.1)
    # Off the rim, which resizing blends: nothing outside, and black tissue one gray level above it.
    assert not square.pixels[~ndimage.binary_dilation(square.mask, iterations=3)].any()
    assert square.pixels[ndimage.binary_erosion(square.mask, iterations=3)].min() >= 1 / 255 - 1e-6
    whole = prepare(Picture(quantise(HEAD), head=head), Preparation("whole", 0.5), size=64)
    np.testing.assert_array_equal(whole.mask, head)


def test_a_slice_without_a_head_is_prepared_whole():
    square = prepare(
        Picture(np.array([[0, 1], [1, 0]], np.uint8).repeat(8, 0).repeat(16, 1)), Preparation("head", 0.9), size=32
    )
    assert square.frame.side == 32 and square.mask.all()


def test_saving(tmp_path):
    preparations = {"CT": Preparation("head", 0.875), "MRI": Preparation("head", 0.95, 16, 0.0, 4095.0)}
    save_preparations(tmp_path / "p.yaml", preparations)
    assert load_preparations(tmp_path / "p.yaml") == preparations


def test_preparations_of_earlier_runs_knew_a_maximum(tmp_path):
    (tmp_path / "p.yaml").write_text(
        "CT: {framing: head, maximum: 255, reference: 0.8}\nMRI: {framing: whole, maximum: 4095, reference: 1.0}\n"
    )
    assert load_preparations(tmp_path / "p.yaml") == {
        "CT": Preparation("head", 0.8, 8, 0.0, 255.0), "MRI": Preparation("whole", 1.0, 16, 0.0, 4095.0),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "- 1",
        "CT: 5",
        "CT: {framing: head}",
        "CT: {framing: odd, reference: 1.0}",
        "CT: {framing: head, reference: x}",
        "a: [",
    ],
)
def test_damaged_preparations_are_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UserError, match="p.yaml: missing or damaged"):
        load_preparations(tmp_path / "p.yaml")
