import numpy as np
import pytest
from scipy import ndimage

from common_tf.pictures.phantom import draw_phantom


def test_same_seed_same_head():
    first, second = draw_phantom(5, size=64), draw_phantom(5, size=64)
    for name in ("ct", "mri", "lesion", "head"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_types_and_range():
    phantom = draw_phantom(1, size=48)
    for image in (phantom.ct, phantom.mri):
        assert image.dtype == np.float32 and image.shape == (48, 48)
        assert image.min() >= 0 and image.max() <= 1
    assert phantom.lesion.dtype == bool and phantom.head.dtype == bool


def test_bone_is_bright_in_ct_and_dark_in_mri():
    for seed in range(10):
        phantom = draw_phantom(seed, size=128, lesion_probability=0)
        bone = (phantom.ct > 0.9) & phantom.head
        assert bone.sum() > 200
        assert phantom.mri[bone].mean() < 0.25
        inside = ndimage.binary_erosion(phantom.head, iterations=14)  # within the skull
        fluid = (phantom.ct < 0.22) & (phantom.ct > 0.1) & inside
        assert phantom.mri[fluid].mean() > 0.7


def test_one_pixel_does_not_decide_the_translation():
    """Scalp and fluid overlap in CT but not in MRI: a table of gray values cannot solve the task."""
    phantom = draw_phantom(0, size=128, lesion_probability=0)
    same = (phantom.ct > 0.2) & (phantom.ct < 0.3) & phantom.head
    assert phantom.mri[same].std() > 0.1


def test_lesions_show_in_both():
    drawn = [draw_phantom(seed, size=128, lesion_probability=1) for seed in range(30)]
    assert sum(phantom.lesion.any() for phantom in drawn) >= 28
    for seed, phantom in enumerate(drawn):
        healthy = draw_phantom(seed, size=128, lesion_probability=0)
        if phantom.lesion.sum() > 20:
            assert np.abs(phantom.ct - healthy.ct)[phantom.lesion].mean() > 0.04
            assert np.abs(phantom.mri - healthy.mri)[phantom.lesion].mean() > 0.1
    assert not draw_phantom(0, size=64, lesion_probability=0).lesion.any()


def test_heads_differ():
    heads = np.stack([draw_phantom(seed, size=32).mri.ravel() for seed in range(20)])
    correlation = np.corrcoef(heads) - np.eye(20)
    assert correlation.max() < 0.97


def test_small_images_average_what_lies_in_a_pixel():
    small, large = draw_phantom(7, size=64), draw_phantom(7, size=256)
    average = large.mri.reshape(64, 4, 64, 4).mean(axis=(1, 3))
    inside = ndimage.binary_erosion(small.head, iterations=2)
    ratio = np.median(small.mri[inside] / average[inside])  # the scanner's gain is drawn for each image
    assert np.abs(small.mri - ratio * average)[inside].mean() < 0.03


def test_anatomy_does_not_depend_on_resolution():
    small, large = draw_phantom(7, size=64), draw_phantom(7, size=128)
    assert small.head.mean() == pytest.approx(large.head.mean(), rel=0.02)
    assert small.lesion.mean() == pytest.approx(large.lesion.mean(), rel=0.15, abs=0.002)
