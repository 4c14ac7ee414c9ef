import numpy as np

from common_tf.metrics.bootstrap import grouped_statistic


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
