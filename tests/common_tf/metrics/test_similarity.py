import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import metrics as oracle

from common_tf.metrics.all_pairs import all_pairs_ssim
from common_tf.metrics.similarity import similarity_metrics
from common_tf.metrics.similarity.cosine import cosine
from common_tf.metrics.similarity.mae import mae
from common_tf.metrics.similarity.ms_ssim import ms_ssim
from common_tf.metrics.similarity.mse import mse
from common_tf.metrics.similarity.pearson import pearson
from common_tf.metrics.similarity.psnr import psnr
from common_tf.metrics.similarity.rmse import rmse
from common_tf.metrics.similarity.ssim import ssim


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


def test_cosine_and_pearson_equal_numpy(random):
    first, second = random.uniform(size=(2, 3, 20, 24))
    mask = random.uniform(size=(3, 20, 24)) < 0.5
    for i in range(3):
        a, b = first[i].ravel(), second[i].ravel()
        np.testing.assert_allclose(cosine(first, second)[i], a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        np.testing.assert_allclose(pearson(first, second)[i], np.corrcoef(a, b)[0, 1])
        inside = mask[i].ravel()
        np.testing.assert_allclose(pearson(first, second, mask=mask)[i], np.corrcoef(a[inside], b[inside])[0, 1])
    assert np.isnan(pearson(np.zeros_like(first), second)).all()


def test_rmse_is_the_root_of_mse(random):
    first, second = random.uniform(size=(2, 3, 16, 16))
    np.testing.assert_allclose(rmse(first, second) ** 2, mse(first, second))


def test_ms_ssim_is_one_for_equal_images_and_refuses_small_ones(random):
    image = random.uniform(size=(1, 180, 180)).astype(np.float32)
    np.testing.assert_allclose(ms_ssim(image, image), 1.0, atol=1e-6)
    assert ms_ssim(image, np.clip(image + 0.1, 0, 1))[0] < 1
    with pytest.raises(ValueError, match="176"):
        ms_ssim(image[:, :100, :100], image[:, :100, :100])


def test_the_documents_ssim_equals_skimage_over_all_pairs(random):
    real, fake = random.uniform(size=(3, 32, 32)), random.uniform(size=(2, 32, 32))
    expected = np.mean([oracle.structural_similarity(x, y, data_range=2.0) for x in real for y in fake])
    np.testing.assert_allclose(all_pairs_ssim(real, fake), expected, rtol=1e-6)
    np.testing.assert_allclose(all_pairs_ssim(real, fake[::-1]), expected, rtol=1e-6)  # outputs may be shuffled


@pytest.mark.parametrize("name", similarity_metrics())
def test_every_metric_gives_a_number_an_image_and_prefers_the_equal_one(name, random):
    metric = similarity_metrics()[name]
    first = random.uniform(size=(3, 180, 180))
    second = np.clip(first + random.normal(0, 0.1, first.shape), 0, 1)
    masks = [None] + [random.uniform(size=first.shape) < 0.5] * ("head" in metric.regions)
    for mask in masks:
        options = {} if mask is None else {"mask": mask}
        same, noisy = metric.function(first, first, **options), metric.function(first, second, **options)
        assert noisy.shape == (3,) and noisy.dtype == np.float64
        assert ((same > noisy) if metric.better == "higher" else (same < noisy)).all()


def test_metrics_are_listed_by_the_region_they_are_measured_in():
    assert set(similarity_metrics()) == set(similarity_metrics("head")) | set(similarity_metrics("full"))
    assert "cosine" not in similarity_metrics("head")


def test_an_empty_mask_has_no_number():
    images = np.full((1, 16, 16), 0.5)
    for metric in (mae, mse, pearson, ssim):
        assert np.isnan(metric(images, images, mask=np.zeros((1, 16, 16), bool))).all()
