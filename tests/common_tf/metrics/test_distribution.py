import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.pictures.phantom import draw_phantom
from common_tf.randomness import declared_streams


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
    draws = declared_streams()["wasserstein.places"].numpy(5)
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


def test_images_need_not_be_square(random):
    """Patches come from everywhere: a change in any corner counts, of portrait and landscape images alike."""
    for shape in ((16, 64), (64, 16), (40, 100), (100, 40)):
        images = random.uniform(size=(6, *shape))
        assert sliced_wasserstein(images, images) == 0
        for corner in (
            (slice(8), slice(8)),
            (slice(8), slice(-8, None)),
            (slice(-8, None), slice(8)),
            (slice(-8, None),) * 2,
        ):
            changed = images.copy()
            changed[(slice(None), *corner)] = 1
            assert sliced_wasserstein(images, changed) > 1e-3, (shape, corner)


def test_turning_both_sets_changes_little(random):
    first, second = random.uniform(size=(12, 24, 60)), random.uniform(size=(12, 24, 60)) ** 1.5
    there = sliced_wasserstein(first, second)
    turned = sliced_wasserstein(first.transpose(0, 2, 1), second.transpose(0, 2, 1))
    assert turned == pytest.approx(there, rel=0.15)


def test_of_the_larger_set_a_random_subset_is_drawn(random):
    """Not its first images, which are one patient's."""
    reference = random.uniform(size=(10, 16, 16))
    others = np.concatenate([np.zeros((10, 16, 16)), random.uniform(size=(190, 16, 16))])
    fair = sliced_wasserstein(reference, others[10:20])
    for first, second in ((reference, others), (others, reference)):
        found = sliced_wasserstein(first, second)
        assert found == sliced_wasserstein(first, second)
        assert found < 3 * fair < sliced_wasserstein(reference, others[:10])
    assert len({sliced_wasserstein(reference, others, seed=seed) for seed in range(3)}) == 3


def test_images_of_two_sizes_or_too_small_ones_are_refused():
    with pytest.raises(ValueError, match="one size"):
        sliced_wasserstein(np.zeros((2, 32, 32)), np.zeros((2, 32, 40)))
    with pytest.raises(ValueError, match="7 pixels"):
        sliced_wasserstein(np.zeros((2, 6, 32)), np.zeros((2, 6, 32)))
