import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as oracle

from common_tf.metrics.similarity import mae, mse, psnr, ssim


@pytest.fixture
def pair(random):
    first = random.uniform(size=(3, 40, 48))
    return first, np.clip(first + random.normal(0, 0.1, first.shape), 0, 1)


def test_equal_scikit_image(pair):
    for index, (first, second) in enumerate(zip(*pair)):
        assert mse(*pair)[index] == pytest.approx(oracle.mean_squared_error(first, second), abs=1e-12)
        assert psnr(*pair)[index] == pytest.approx(oracle.peak_signal_noise_ratio(first, second, data_range=1))
        expected = oracle.structural_similarity(
            first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert ssim(*pair)[index] == pytest.approx(expected, abs=2e-6)


def test_masked_ssim_is_the_mean_of_the_map(pair):
    mask = np.zeros(pair[0].shape, bool)
    mask[:, 10:25, 12:30] = True
    for index, (first, second) in enumerate(zip(*pair)):
        _, map_ = oracle.structural_similarity(
            first, second, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
        )
        assert ssim(*pair, mask=mask)[index] == pytest.approx(map_[mask[index]].mean(), abs=2e-6)


def test_masked_errors_ignore_the_rest(pair):
    first, second = pair
    mask = np.zeros(first.shape, bool)
    mask[:, 5:9] = True
    changed = np.where(mask, second, 0.123)
    np.testing.assert_allclose(mae(first, second, mask=mask), mae(first, changed, mask=mask))
    np.testing.assert_allclose(mae(first, second, mask=mask), np.abs(first - second)[:, 5:9].mean(axis=(1, 2)))


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_symmetric_and_best_for_equal_images(seed):
    random = np.random.default_rng(seed)
    first, second = random.uniform(size=(2, 1, 16, 16))
    for metric, best in ((mae, 0), (mse, 0), (psnr, np.inf), (ssim, 1)):
        assert metric(first, second) == pytest.approx(metric(second, first), abs=1e-6)
        assert metric(first, first) == pytest.approx(best)


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="11x11"):
        ssim(np.zeros((1, 10, 10)), np.zeros((1, 10, 10)))
