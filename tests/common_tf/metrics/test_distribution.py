import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from common_tf.images.phantom import draw_phantom
from common_tf.metrics.bootstrap import bootstrap_mean
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.floors import apply_intensity_table, fit_intensity_table


@pytest.fixture(scope="module")
def heads():
    return [draw_phantom(seed, size=64) for seed in range(24)]


def test_zero_for_equal_sets(heads):
    images = np.stack([head.mri for head in heads])
    assert sliced_wasserstein(images, images) == 0


def test_orders_what_a_person_would_order(heads):
    first, second = (np.stack([head.mri for head in part]) for part in (heads[:12], heads[12:]))
    ct = np.stack([head.ct for head in heads[12:]])
    floor = sliced_wasserstein(first, second)
    assert floor < sliced_wasserstein(first, np.clip(second + 0.1, 0, 1))
    assert floor < sliced_wasserstein(first, ct) < sliced_wasserstein(first, np.ones_like(ct))


def test_one_level_one_direction_is_the_wasserstein_distance(random):
    """At 16 px there is one level; the mean over sorted projections is SciPy's 1-D distance."""
    first, second = random.uniform(size=(4, 16, 16)), random.uniform(size=(4, 16, 16)) ** 2
    got = sliced_wasserstein(first, second, patches_per_image=8, directions=1, seed=5)
    draws = np.random.default_rng(5)
    places = draws.integers(0, 10, (4, 8, 2))
    cut = [
        np.array([s[i, y : y + 7, x : x + 7].ravel() for i in range(4) for y, x in places[i]]).astype(np.float32)
        for s in (first.astype(np.float32), second.astype(np.float32))
    ]
    axis = draws.standard_normal((49, 1))
    axis /= np.linalg.norm(axis)
    p, q = (((c.astype(float) - cut[0].mean(dtype=float)) / cut[0].std(dtype=float)) @ axis for c in cut)
    assert got == pytest.approx(wasserstein_distance(p.ravel(), q.ravel()), rel=1e-4)


def test_empty_set_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        sliced_wasserstein(np.zeros((0, 32, 32)), np.zeros((1, 32, 32)))


def test_intensity_table_is_the_conditional_mean(random):
    sources = random.integers(0, 256, (2, 30, 30)) / 255
    targets = random.uniform(size=sources.shape)
    table = fit_intensity_table(sources, targets)
    for level in (0, 17, 255):
        chosen = np.round(sources * 255) == level
        assert table[level] == pytest.approx(targets[chosen].mean())
    np.testing.assert_allclose(apply_intensity_table(np.array([0.0, 1.0]), table), [table[0], table[255]], rtol=1e-6)


def test_intensity_table_inverts_exactly_and_interpolates(random):
    sources = (random.integers(0, 128, (40, 40)) * 2) / 255
    table = fit_intensity_table(sources, 1 - sources)
    np.testing.assert_allclose(apply_intensity_table(sources, table), 1 - sources, atol=1e-6)
    assert table[101] == pytest.approx(1 - 101 / 255)


def test_bootstrap_covers_at_the_stated_rate():
    random = np.random.default_rng(0)
    hits = 0
    for trial in range(300):
        _, low, high = bootstrap_mean(random.normal(1.0, 2.0, 40), resamples=400, seed=trial)
        hits += low <= 1.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_bootstrap_edges():
    assert bootstrap_mean(np.array([3.0]))[0] == 3.0 and np.isnan(bootstrap_mean(np.array([3.0]))[1])
    assert bootstrap_mean(np.array([2.0, 2.0])) == (2.0, 2.0, 2.0)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_mean(np.array([]))
