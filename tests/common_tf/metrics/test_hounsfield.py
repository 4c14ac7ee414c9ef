"""Against SynthRAD's definitions in another form: FFT convolutions, skimage, loops over tissues."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import fftconvolve
from skimage.metrics import peak_signal_noise_ratio

from common_tf.metrics.hounsfield import (
    mean_absolute_error,
    multi_scale_ssim,
    peak_signal_to_noise,
    slice_disagreement,
    tissue_bias,
    tissue_dice,
)
from common_tf.volumes.phantom import draw_head

_WEIGHTS = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]


@pytest.fixture(scope="module")
def head():
    """A drawn head, and the same with noise, a shift of gray values and a dent."""
    drawn = draw_head(3, spacing=(6.0, 6.0, 6.0))
    random = np.random.default_rng(0)
    made = 0.9 * drawn.ct.voxels + 40 + 60 * random.standard_normal(drawn.ct.shape)
    made[10:14] = -drawn.ct.voxels[10:14]
    return drawn.ct.voxels.astype(float), made, drawn.head


def _fitted(values, shape):
    """Cut or padded to a shape, its middle in the middle."""
    for axis, side in enumerate(shape):
        start = max(0, (values.shape[axis] - side) // 2)
        values = values.take(range(start, min(start + side, values.shape[axis])), axis)
    more = [side - own for side, own in zip(shape, values.shape)]
    return np.pad(values, [(one // 2, one - one // 2) for one in more], "edge")


def _window_sums(values):
    """Of every 7x7x7 window that fits whole, one shifted copy after the other."""
    for axis in range(3):
        length = values.shape[axis] - 6
        values = sum(values.take(range(start, start + length), axis) for start in range(7))
    return values


def _reference_ms_ssim(truth, made, mask):
    low, high = -1024, 3071
    first, second = (np.clip(np.where(mask, one, low), low, high) - low for one in (truth, made))
    pads = []
    for side in truth.shape:
        before = max((97 - side) // 2, 0)
        pads.append((before, max(97 - side - (97 - side) // 2, 0)))
    first, second, mask = (np.pad(one, pads, "edge") for one in (first, second, mask))
    product = 1.0
    for weight in _WEIGHTS:
        mx, my = _window_sums(first) / 343, _window_sums(second) / 343
        vx = (_window_sums(first**2) - 343 * mx**2) / 342
        vy = (_window_sums(second**2) - 343 * my**2) / 342
        vxy = (_window_sums(first * second) - 343 * mx * my) / 342
        c1, c2 = (0.01 * 4095) ** 2, (0.03 * 4095) ** 2
        sx, sy = np.sqrt(np.clip(vx, 0, None)), np.sqrt(np.clip(vy, 0, None))
        terms = [
            (2 * mx * my + c1) / (mx**2 + my**2 + c1),
            (2 * sx * sy + c2) / (vx + vy + c2),
            (vxy + c2 / 2) / (sx * sy + c2 / 2),
        ]
        value = np.prod([np.clip(term, 0, None) ** weight for term in terms], axis=0)[mask[3:-3, 3:-3, 3:-3]].mean()
        product *= np.clip(value, 0, 1)
        half = np.ones((2, 2, 2)) / 8
        first, second = (fftconvolve(one, half, "same")[::2, ::2, ::2] for one in (first, second))
        mask = mask[::2, ::2, ::2]
    return product


@pytest.mark.parametrize("shape", [(32, 38, 26), (97, 31, 27), (101, 98, 99)])
def test_ms_ssim_is_that_of_synthrad_for_any_sides(shape, head):
    truth, made, mask = (_fitted(one, shape) for one in head)
    assert multi_scale_ssim(truth, made, mask) == pytest.approx(_reference_ms_ssim(truth, made, mask), abs=1e-6)


def test_ms_ssim_of_the_same_is_one_and_of_an_inverted_head_near_nothing(head):
    truth, made, mask = head
    assert multi_scale_ssim(truth, truth, mask) == pytest.approx(1.0)
    assert multi_scale_ssim(truth, -truth, mask) < 0.5 < multi_scale_ssim(truth, made, mask)
    lone = np.zeros_like(mask)
    lone[1, 1, 1] = True
    assert np.isnan(multi_scale_ssim(truth, made, lone))  # no voxel of it is left on the coarser grids


def test_error_and_psnr_are_over_the_mask(head):
    truth, made, mask = head
    assert mean_absolute_error(truth, made, mask) == pytest.approx(np.abs(made - truth)[mask].mean())
    clipped = [np.clip(one, -1024, 3071)[mask] for one in (truth, made)]
    assert peak_signal_to_noise(truth, made, mask) == pytest.approx(peak_signal_noise_ratio(*clipped, data_range=4095))
    older = [np.clip(one, -1024, 3000)[mask] for one in (truth, made)]
    assert peak_signal_to_noise(truth, made, mask, highest=3000) == pytest.approx(
        peak_signal_noise_ratio(*older, data_range=4024)
    )
    outside = made + 500 * ~mask
    assert peak_signal_to_noise(truth, outside, mask) == peak_signal_to_noise(truth, made, mask)
    assert peak_signal_to_noise(truth, truth, mask) == np.inf


@settings(max_examples=30)
@given(st.floats(-300, 300), st.integers(0, 99))
def test_a_shift_of_gray_values_is_the_bias_of_every_tissue(shift, seed):
    truth = np.random.default_rng(seed).uniform(-1024, 2000, (6, 7, 8))
    mask = np.random.default_rng(seed + 1).uniform(size=truth.shape) < 0.7
    assert mean_absolute_error(truth, truth + shift, mask) == pytest.approx(abs(shift))
    for value in tissue_bias(truth, truth + shift, mask).values():
        assert value == pytest.approx(shift)


def test_overlap_of_bone_and_air(head):
    truth, made, mask = head
    found = tissue_dice(truth, made, mask)
    for name, of in (("bone", lambda one: one >= 250), ("air", lambda one: one < -200)):
        real, synthetic = of(truth)[mask], of(made)[mask]
        assert found[name] == pytest.approx(2 * (real & synthetic).sum() / (real.sum() + synthetic.sum()))
    assert tissue_dice(truth, truth, mask)["bone"] == 1.0
    soft = np.full((4, 4, 4), 30.0)
    assert all(np.isnan(value) for value in tissue_dice(soft, soft, soft > 0).values())
    assert np.isnan(tissue_bias(soft, soft, soft > 0)["bone"])


def test_slices_that_jump_are_seen_and_a_constant_error_is_not(head):
    truth, _, mask = head
    assert slice_disagreement(truth, truth + 70, mask) == pytest.approx(0)
    steps = np.where(np.arange(truth.shape[2]) % 2, 25.0, -25.0)
    assert slice_disagreement(truth, truth + steps, mask) == pytest.approx(50)
    alone = np.zeros_like(mask)
    alone[..., ::2] = mask[..., ::2]
    assert np.isnan(slice_disagreement(truth, truth, alone))


def test_another_grid_or_no_mask_is_an_error(head):
    truth, made, mask = head
    with pytest.raises(ValueError, match="one grid"):
        mean_absolute_error(truth, made[1:], mask)
    with pytest.raises(ValueError, match="empty"):
        multi_scale_ssim(truth, made, np.zeros_like(mask))
