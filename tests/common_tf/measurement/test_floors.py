import numpy as np
import pytest

from common_tf.measurement.floors import apply_intensity_table, fit_intensity_table, others


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


def test_another_head_is_never_ones_own_and_always_the_same(random):
    truth, groups = random.uniform(size=(20, 4, 4)), random.integers(0, 4, 20)
    chosen = others(truth, groups)
    own = [int(np.flatnonzero((truth == image).all(axis=(1, 2)))[0]) for image in chosen]
    assert (groups[own] != groups).all() and len(set(own)) > 5
    np.testing.assert_array_equal(chosen, others(truth, groups))
    assert others(truth, np.zeros(20)) is None
