"""Fréchet and kernel distances against SciPy and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg

from common_tf.metrics.frechet import frechet_distance
from common_tf.metrics.kernel import kernel_distance, squared_mmd


def _oracle(first, second):
    s1, s2 = (np.cov(features, rowvar=False) for features in (first, second))
    root = linalg.sqrtm(s1 @ s2).real
    return np.square(first.mean(0) - second.mean(0)).sum() + np.trace(s1 + s2 - 2 * root)


@pytest.mark.parametrize("counts", [(40, 60), (200, 150)])
@pytest.mark.parametrize("dimensions", [5, 30])
def test_equals_the_matrix_square_root(random, counts, dimensions):
    mixing = random.standard_normal((dimensions, dimensions))
    first = random.standard_normal((counts[0], dimensions)) @ mixing
    second = 0.5 + random.standard_normal((counts[1], dimensions))
    np.testing.assert_allclose(frechet_distance(first, second), _oracle(first, second), rtol=1e-6)


def test_both_forms_agree_where_images_and_dimensions_meet(random):
    first, second = random.standard_normal((33, 32)), 1 + random.standard_normal((40, 32))
    few = frechet_distance(first[:32], second)
    many = frechet_distance(first, second)
    np.testing.assert_allclose(many, _oracle(first, second), rtol=1e-6)
    np.testing.assert_allclose(few, _oracle(first[:32], second), rtol=1e-5)


@settings(max_examples=20, deadline=None)
@given(shift=st.floats(-5, 5), seed=st.integers(0, 1000), dimensions=st.sampled_from([3, 64]))
def test_a_shift_costs_its_square_and_nothing_else(shift, seed, dimensions):
    features = np.random.default_rng(seed).standard_normal((30, dimensions))
    np.testing.assert_allclose(frechet_distance(features, features + shift), dimensions * shift**2, atol=1e-5)
    assert frechet_distance(features, features) < 1e-6


def test_it_is_symmetric(random):
    first, second = random.standard_normal((30, 50)), random.standard_normal((25, 50)) * 2
    np.testing.assert_allclose(frechet_distance(first, second), frechet_distance(second, first), rtol=1e-10)


def test_few_images_are_refused_and_not_scored(random):
    with pytest.raises(ValueError, match="3 images"):
        frechet_distance(random.standard_normal((3, 8)), random.standard_normal((50, 8)))
    with pytest.raises(ValueError, match="3 images"):
        kernel_distance(random.standard_normal((3, 8)), random.standard_normal((50, 8)))
    with pytest.raises(ValueError, match="not finite"):
        frechet_distance(np.full((30, 4), np.nan), random.standard_normal((30, 4)))


def test_the_kernel_distance_equals_its_sums(random):
    first, second = random.standard_normal((6, 4)), random.standard_normal((5, 4))

    def kernel(x, y):
        return (x @ y / 4 + 1) ** 3

    within = sum(kernel(x, y) for i, x in enumerate(first) for j, y in enumerate(first) if i != j) / 30
    within += sum(kernel(x, y) for i, x in enumerate(second) for j, y in enumerate(second) if i != j) / 20
    across = np.mean([kernel(x, y) for x in first for y in second])
    np.testing.assert_allclose(squared_mmd(first, second), within - 2 * across)


def test_the_kernel_distance_is_unbiased_and_repeats(random):
    values = [squared_mmd(*random.standard_normal((2, 12, 6))) for _ in range(600)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    first, second = random.standard_normal((40, 6)), 1 + random.standard_normal((40, 6))
    result = kernel_distance(first, second, subsets=50)
    assert result == kernel_distance(first, second, subsets=50)
    assert result["subset_size"] == 20 and result["subsets"] == 50
    assert abs(result["mean"] - squared_mmd(first, second)) < 3 * result["standard_deviation"]
