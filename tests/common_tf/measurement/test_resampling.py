import numpy as np
import pytest

from common_tf.measurement.resampling import RESAMPLES, grouped_statistic, percentile_interval, resampled_groups


def test_grouped_statistic_counts_groups_and_not_images(random):
    values = random.standard_normal(30)
    alone = grouped_statistic(values)
    assert alone[1] < alone[0] < alone[2]
    tripled = grouped_statistic(np.repeat(values, 3), np.repeat(np.arange(30), 3))
    np.testing.assert_allclose(tripled, alone)  # copies in a group add nothing
    narrow = grouped_statistic(np.repeat(values, 3))
    assert narrow[2] - narrow[1] < 0.8 * (alone[2] - alone[1])
    as_median = grouped_statistic(values, statistic=np.median)
    assert as_median[0] == np.median(values) and as_median[1] <= as_median[0] <= as_median[2]
    assert np.isnan(grouped_statistic(np.array([np.nan]))).all()
    value, low, high = grouped_statistic(np.array([1.0, np.nan, 3.0]), np.array(["a", "b", "a"]))
    assert value == 2.0 and np.isnan(low)
    by_mean = grouped_statistic(values, statistic=lambda part: part.mean())
    np.testing.assert_allclose(by_mean, alone)  # the fast way and the plain way


@pytest.mark.parametrize("statistic", [np.mean, np.median, np.max])
def test_the_interval_is_that_of_plain_resampling_of_groups(random, statistic):
    """An independent oracle: draw groups, put their values together, take the statistic."""
    values, groups = random.standard_normal(24), np.repeat(list("abcdefgh"), 3)
    results = []
    for row in resampled_groups(8):
        results.append(statistic(np.concatenate([values[groups == "abcdefgh"[i]] for i in row])))
    expected = statistic(values), *np.percentile(results, [2.5, 97.5])
    np.testing.assert_allclose(grouped_statistic(values, groups, statistic=statistic), expected)


def test_groups_of_unequal_size_count_by_their_images(random):
    values = np.array([0.0, 0.0, 0.0, 4.0])
    value, low, high = grouped_statistic(values, np.array([0, 0, 0, 1]))
    assert (value, low, high) == (1.0, 0.0, 4.0)


def test_draws_are_the_same_for_every_figure_and_of_the_groups_alone():
    assert resampled_groups(7).shape == (RESAMPLES, 7)
    np.testing.assert_array_equal(resampled_groups(7), resampled_groups(7))
    counts = np.bincount(resampled_groups(7).ravel(), minlength=7)
    assert counts.min() > 0.9 * RESAMPLES and resampled_groups(7).max() == 6


def test_names_and_order_of_groups_do_not_matter(random):
    values, groups = random.standard_normal(20), random.integers(0, 6, 20)
    order = random.permutation(20)
    np.testing.assert_allclose(grouped_statistic(values, groups), grouped_statistic(values[order], groups[order]))
    named = np.array(["p" + str(group) for group in groups])
    np.testing.assert_allclose(grouped_statistic(values, groups), grouped_statistic(values, named))


def test_it_covers_at_the_stated_rate():
    random = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        _, low, high = grouped_statistic(random.normal(1.0, 2.0, 40))
        hits += low <= 1.0 <= high
    assert 0.90 <= hits / 300 <= 0.98


def test_edges():
    value, low, high = grouped_statistic(np.array([3.0]))
    assert value == 3.0 and np.isnan([low, high]).all()
    assert grouped_statistic(np.array([2.0, 2.0])) == (2.0, 2.0, 2.0)
    assert np.isnan(grouped_statistic(np.array([]))).all()
    assert np.isnan(percentile_interval(np.array([np.nan]))).all()
    assert percentile_interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


def test_an_infinite_value_is_not_left_out_of_its_interval():
    """PSNR of equal images: an interval of the finite resamples would lie below the figure itself."""
    value, low, high = grouped_statistic(np.array([30.0, 31.0, np.inf, 32.0]))
    assert value == high == np.inf and np.isfinite(low)
