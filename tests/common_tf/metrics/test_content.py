"""Content checks on images of which the answer is known."""

import numpy as np

from common_tf.metrics.content import checkerboard, diversity, edge_agreement, lesion_contrast, table_share
from common_tf.pictures.phantom import draw_phantom

HEADS = [draw_phantom(seed, size=64, lesion_probability=1.0) for seed in range(4)]
CT = np.stack([head.ct for head in HEADS])
MRI = np.stack([head.mri for head in HEADS])
MASK = np.stack([head.head for head in HEADS])
LESION = np.stack([head.lesion for head in HEADS])


def test_edges_agree_with_themselves_and_their_negative_but_not_with_another_head():
    np.testing.assert_allclose(edge_agreement(CT, CT, mask=MASK), 1.0)
    np.testing.assert_allclose(edge_agreement(CT, 1 - CT, mask=MASK), 1.0)
    assert (edge_agreement(CT, MRI, mask=MASK) > edge_agreement(CT, MRI[[1, 2, 3, 0]], mask=MASK)).all()


def test_a_recolouring_is_explained_by_a_table(random):
    table = random.uniform(size=64)
    recoloured = table[np.round(CT * 63).astype(int)]
    np.testing.assert_allclose(table_share(CT, recoloured, mask=MASK), 1.0)
    assert (table_share(CT, random.uniform(size=CT.shape), mask=MASK) < 0.1).all()
    assert np.isnan(table_share(CT, np.zeros_like(CT), mask=MASK)).all()


def test_diversity_is_zero_for_one_picture_and_counts_distance():
    assert diversity(np.repeat(CT[:1], 3, axis=0)) == 0
    np.testing.assert_allclose(diversity(np.stack([np.zeros((8, 8)), np.full((8, 8), 0.25)])), 0.25)
    assert np.isnan(diversity(CT[:1]))


def test_a_checkerboard_is_seen_at_both_periods():
    clean = checkerboard(MRI)
    y, x = np.mgrid[:64, :64]
    for pattern in ((x + y) % 2, y % 2, (x // 2 + y // 2) % 2):
        assert (checkerboard(MRI + 0.1 * pattern) > clean + 0.3).all()


def test_lesion_contrast_is_a_difference_of_means():
    image = np.full((1, 64, 64), 0.25)
    lesion = np.zeros((1, 64, 64), bool)
    lesion[0, 30:34, 30:34] = True
    image[lesion] = 0.75
    np.testing.assert_allclose(lesion_contrast(image, lesion, np.ones_like(lesion)), [0.5])
    assert np.isnan(lesion_contrast(image, np.zeros_like(lesion), np.ones_like(lesion)))[0]
    np.testing.assert_allclose(lesion_contrast(1 - MRI, LESION, MASK), -lesion_contrast(MRI, LESION, MASK), atol=1e-6)


def test_many_images_are_judged_in_parts(monkeypatch):
    many = np.concatenate([CT, MRI, CT[::-1]]), np.concatenate([MRI, CT, MRI]), np.concatenate([MASK] * 3)
    whole = edge_agreement(many[0], many[1], mask=many[2])
    monkeypatch.setattr("common_tf.metrics.content._BATCH", 5)
    np.testing.assert_array_equal(edge_agreement(many[0], many[1], mask=many[2]), whole)
    assert edge_agreement(CT[:0], MRI[:0], mask=MASK[:0]).shape == (0,)
