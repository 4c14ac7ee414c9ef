"""The two-sample test, asked what is known."""

import numpy as np
import pytest

from evaluation_tf import two_sample
from evaluation_tf.cache import ArrayCache
from evaluation_tf.image_sets import ImageSet, outlines_row
from evaluation_tf.images import Images
from evaluation_tf.parts import Section


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(two_sample, "SIDE", 32)
    monkeypatch.setattr(two_sample, "EPOCHS", 6)


def _discs(random, count, ring):
    """Bright discs at random places; with ``ring`` each has a dark middle."""
    y, x = np.mgrid[:40, :40]
    images = []
    for _ in range(count):
        distance = np.hypot(y - random.integers(14, 26), x - random.integers(14, 26))
        image = np.where(distance < 10, 180, 20) + random.normal(0, 10, (40, 40))
        images.append(np.where(ring & (distance < 5), 60, image))
    return Images.of(np.clip(images, 0, 255).astype(np.uint8))


def _auc(first, second, tmp_path, groups=None):
    groups = groups or (np.arange(len(first)), len(first) + np.arange(len(second)))
    return two_sample.two_sample_auc(first, second, groups, cache=ArrayCache(tmp_path / "cache"))


def test_unlike_sets_are_told_apart_and_like_ones_are_not(random, tmp_path):
    plain, rings, more = (_discs(random, 40, ring) for ring in (False, True, False))
    apart, alike = _auc(plain, rings, tmp_path), _auc(plain, more, tmp_path)
    assert apart.value > 0.97 and apart.groups == 80
    assert 0.3 < alike.value < 0.7 and alike.low < 0.5 < alike.high
    # Again it is the same to the bit, from the cache and computed anew.
    assert _auc(plain, rings, tmp_path) == apart == _auc(plain, rings, tmp_path / "other")


def test_outlines_alone_are_told_where_heads_are_of_two_kinds(random, tmp_path):
    """Whatever their gray values are: wide and narrow heads, and wide ones twice."""
    y, x = np.mgrid[:40, :40] - 20

    def heads(width):
        sizes = random.uniform(0.9, 1.1, (40, 1, 1))
        return ImageSet(Images.of(np.hypot(y / 16, x / width) < sizes), np.arange(40))

    section, cache = Section("s", "S", ""), ArrayCache(tmp_path / "cache")
    wide, narrow, more = heads(16), heads(10), heads(16)
    apart = outlines_row({"CT": wide, "MRI": narrow}, section=section, cache=cache)
    alike = outlines_row({"CT": wide, "MRI": ImageSet(more.images, 40 + more.groups)}, section=section, cache=cache)
    assert (apart.name, apart.kind, list(apart.cells)) == (
        "outlines alone, CT against MRI",
        "reference",
        ["two_sample"],
    )
    assert apart.value("two_sample") > 0.9
    cell = alike.cells["two_sample"]
    assert cell.low < 0.5 < cell.high and not section.gaps
    twins = outlines_row({"CT": wide, "MRI": wide}, section=section, cache=cache).cells["two_sample"]
    assert (
        0.4 < twins.value < 0.6 and twins.groups == 40
    )  # learned as one and asked as the other, it would be far below
    few = ImageSet(wide.images, np.zeros(40))
    assert not outlines_row({"CT": wide, "MRI": few}, section=section, cache=cache).cells and section.gaps


def test_a_group_is_never_on_both_sides(random, tmp_path, monkeypatch):
    """Also one that both sets have."""
    asked = []

    class Watching(two_sample._Learner):
        def chances(self, learn, ask, fold):
            asked.append((set(learn.tolist()), set(ask.tolist())))
            return np.full(len(ask), 0.5)

    monkeypatch.setattr(two_sample, "_Learner", Watching)
    images, groups = _discs(random, 36, False), np.arange(36) // 3
    found = _auc(images, images, tmp_path, (groups, groups))
    assert found.value == 0.5 and found.groups == 12 and len(asked) == two_sample.FOLDS
    for learn, ask in asked:
        assert learn and ask and {one % 36 // 3 for one in learn}.isdisjoint(one % 36 // 3 for one in ask)
    assert set().union(*(ask for _, ask in asked)) == set(range(72))


def test_too_few_groups_are_said(random, tmp_path):
    images = _discs(random, 20, False)
    with pytest.raises(ValueError, match="fewer than 10 groups"):
        _auc(images, images, tmp_path, (np.arange(20) // 4, np.arange(20)))
