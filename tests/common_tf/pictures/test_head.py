import numpy as np
import pytest
import skimage.data
from scipy import ndimage
from skimage.color import rgb2gray

from common_tf.pictures.head import _without_holes, head_mask, unlike_a_head
from common_tf.pictures.phantom import draw_phantom, weak_field
from common_tf.pictures.readers import read_picture


def _dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("size", [64, 200])
def test_finds_phantom_heads_in_both_modalities(size):
    for seed in range(12):
        phantom = draw_phantom(seed, size=size)
        for image in (phantom.ct, phantom.mri):
            assert _dice(head_mask(image), phantom.head) > 0.93


def test_noise_is_no_head():
    for seed in range(12):
        phantom = draw_phantom(seed, size=128)
        assert _dice(head_mask(weak_field(phantom.mri)), phantom.head) > 0.93


def test_leaves_out_letters_bars_and_frames():
    phantom = draw_phantom(3, size=256)
    image = phantom.mri.copy()
    image[:4], image[-4:], image[:, :4], image[:, -4:] = 1, 1, 1, 1
    image[12:18, 12:60] = 1
    mask = head_mask(image)
    assert _dice(mask, phantom.head) > 0.93
    assert not mask[:30, :60].any()


def test_blank_and_noise_have_no_head(random):
    assert not head_mask(np.zeros((64, 64))).any()
    assert not head_mask(random.uniform(0, 0.02, (64, 64))).any()


def test_holes_are_filled_as_scipy_fills_them(random):
    for _ in range(50):
        shape = tuple(random.integers(3, 60, 2))
        solid = (ndimage.gaussian_filter(random.standard_normal(shape), random.uniform(0.3, 3)) > 0).astype(np.uint8)
        np.testing.assert_array_equal(_without_holes(solid), ndimage.binary_fill_holes(solid))


def test_heads_are_like_heads_and_photographs_are_not():
    for seed in range(40):
        phantom = draw_phantom(seed, size=96)
        for image in (phantom.ct, phantom.mri):
            assert not unlike_a_head(head_mask(image))
    for name in ("camera", "chelsea", "coins", "page", "text", "grass", "gravel", "coffee", "clock", "rocket"):
        photograph = rgb2gray(getattr(skimage.data, name)()) if name in ("chelsea", "coffee", "rocket") else None
        gray = getattr(skimage.data, name)() / 255.0 if photograph is None else photograph
        assert unlike_a_head(head_mask(gray.astype(np.float32))), name
    assert unlike_a_head(np.zeros((9, 9), bool)) == "nothing stands out from the background"


def test_few_real_slices_are_unlike_heads(real_data):
    files = sorted(file for file in (real_data / "ct_mri_unpaired").rglob("*.*") if file.suffix in (".png", ".jpg"))
    odd = [bool(unlike_a_head(head_mask(read_picture(file).spread().scaled()))) for file in files[::20]]
    assert len(odd) > 100 and np.mean(odd) < 0.03
