"""Whole groups on one side, about as many as were asked for."""

import numpy as np
import pytest

from common_tf.errors import UserError
from detector_tf.config import make_config
from detector_tf.splits import TEST, TRAIN, UNUSED, VALIDATION, Grouped, make_splits, unleaked


def _images(sizes: dict[int, list[int]], given=None) -> Grouped:
    """Images of groups of the given sizes, by class number."""
    labels, groups = [], []
    for label, mine in sizes.items():
        for size in mine:
            groups += [max(groups, default=-1) + 1] * size
            labels += [label] * size
    names = ("no", "yes")[: len(sizes)]
    return Grouped(np.array(labels), np.array(groups), given or [""] * len(labels), names, "patients")


def _split(images: Grouped, *, seed: int = 0, **values) -> list[np.ndarray]:
    return make_splits(images, make_config({"data": "d", **values}).data, seed=seed)


def _together(split: np.ndarray, groups: np.ndarray) -> bool:
    return all(len(set(split[groups == group].tolist())) == 1 for group in np.unique(groups))


@pytest.mark.parametrize("share", [0.1, 0.2, 0.25, 0.4, 0.5])
def test_a_hold_out_holds_out_about_its_share_of_each_class(share):
    images = _images({0: [1] * 40 + [3] * 20, 1: [1] * 60})
    for seed in range(3):
        (split,) = _split(images, seed=seed, test_share=share)
        assert _together(split, images.groups)
        for label in (0, 1):
            mine = images.labels == label
            assert abs((split[mine] == TEST).mean() - share) < 0.02
            rest = (split[mine] != TEST).sum()
            assert abs((split[mine] == VALIDATION).sum() / rest - 0.15) < 0.03


def test_large_groups_are_drawn_whole_and_one_stays_for_each_side():
    images = _images({0: [12] * 5, 1: [12] * 5})
    (split,) = _split(images, test_share=0.4)
    assert _together(split, images.groups)
    for label in (0, 1):
        counts = [int((split[images.labels == label] == side).sum()) for side in (TRAIN, VALIDATION, TEST)]
        assert counts == [24, 12, 24]
    (greedy,) = _split(_images({0: [12] * 3, 1: [12] * 3}), test_share=0.9)
    assert [int((greedy == side).sum()) for side in (TRAIN, VALIDATION, TEST)] == [24, 24, 24]


def test_folds_test_every_image_once():
    images = _images({0: [1, 2, 3, 1, 2, 3, 1, 2], 1: [2] * 9})
    tested = np.zeros(len(images.labels), int)
    splits = _split(images, folds=4)
    assert len(splits) == 4
    for split in splits:
        assert _together(split, images.groups)
        tested += split == TEST
        assert all(set(images.labels[split == side].tolist()) == {0, 1} for side in (TRAIN, VALIDATION, TEST))
    assert np.all(tested == 1)


def test_a_group_of_two_classes_stays_together():
    images = _images({0: [1] * 12, 1: [1] * 12})
    images.groups[12:15] = images.groups[0:3]
    (split,) = _split(images)
    assert _together(split, images.groups) and {TRAIN, VALIDATION, TEST} == set(split.tolist())


def test_given_folders_are_used_as_given_and_leaks_are_left_out():
    given = ["train"] * 8 + ["validation"] * 2 + ["test"] * 2
    images = _images({0: [1] * 12, 1: [1] * 12}, given * 2)
    images.groups[[8, 10]] = images.groups[0]  # a validation and a test file are near a training file
    (grouped,) = _split(images)
    assert grouped[[8, 10]].tolist() == [UNUSED] * 2
    assert (grouped == TRAIN).sum() == 16 and (grouped == VALIDATION).sum() == 3 and (grouped == TEST).sum() == 3
    (as_given,) = _split(images, split="as-given")
    assert as_given.tolist() == given * 2
    assert unleaked(as_given, images.groups).sum() == 3


def test_a_test_folder_of_which_nothing_is_left_is_an_error_with_a_way_out():
    images = _images({0: [1] * 6, 1: [1] * 6}, (["train"] * 5 + ["test"]) * 2)
    images.groups[[5, 11]] = images.groups[[0, 6]]
    with pytest.raises(UserError, match="--split as-given or --folds 5"):
        _split(images)


def test_too_few_groups_are_said_by_class():
    few = _images({0: [5] * 6, 1: [30, 2]})
    with pytest.raises(UserError, match="class yes has 2 patients; training, validation and test want one each"):
        _split(few)
    with pytest.raises(UserError, match="class yes has 2 patients; 3 folds want as many"):
        _split(few, folds=3)
    with pytest.raises(UserError, match="^2 patients; 4 folds"):
        _split(_images({0: [3, 3]}), folds=4)


def test_another_seed_is_another_draw():
    images = _images({0: [1] * 30, 1: [1] * 30})
    first, same, other = (_split(images, seed=seed)[0].tolist() for seed in (0, 0, 1))
    assert first == same and first != other
