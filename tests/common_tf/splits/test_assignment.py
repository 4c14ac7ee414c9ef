import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common_tf.splits.assignment import assign_patients, assign_splits

FILES = st.lists(
    st.tuples(st.sampled_from(["CT", "MRI"]), st.sampled_from(["train", "test"]), st.integers(0, 15)),
    min_size=4,
    max_size=60,
)


@given(FILES, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_grouped_never_splits_a_group_between_training_and_test(rows, seed):
    labels, folders = [row[0] for row in rows], [row[1] for row in rows]
    groups = np.array([row[2] for row in rows])
    splits = np.array(assign_splits(labels, folders, groups, policy="grouped", seed=seed))
    for group in set(groups.tolist()):
        sides = set(splits[groups == group])
        # Validation may share a group with training where nothing else could be spared; the test never does.
        assert len(sides) == 1 or sides == {"train", "validation"}
    assert assign_splits(labels, folders, groups, policy="grouped", seed=seed) == splits.tolist()
    for label in ("CT", "MRI"):
        mine = np.array(labels) == label
        if mine.any() and any(side == "train" for one, side in zip(labels, folders) if one == label):
            assert (splits[mine] == "train").any()


def test_a_spanning_group_goes_to_training():
    given = ["train", "test", "test", "train"]
    splits = assign_splits(["CT"] * 4, given, np.array([0, 0, 1, 2]), policy="grouped", seed=0)
    assert splits[1] != "test" and splits[2] == "test"


def test_as_given_keeps_the_folders():
    groups = np.array([0] * 5 + list(range(1, 26)) + [0] * 10)
    splits = assign_splits(["CT"] * 40, ["train"] * 30 + ["test"] * 10, groups, policy="as-given", seed=0)
    assert splits[30:] == ["test"] * 10
    assert splits[:30].count("validation") == 3
    # A group that leaks into the test is no yardstick either.
    assert "validation" not in splits[:5]


def test_a_validation_folder_is_validation():
    given = ["train"] * 10 + ["validation"] * 3
    splits = assign_splits(["CT"] * 13, given, np.arange(13), policy="as-given", seed=0)
    assert splits == given
    joined = np.array([*range(10), 0, 11, 12])  # a slice of it is in training too
    assert assign_splits(["CT"] * 13, given, joined, policy="grouped", seed=0)[10] == "train"


@pytest.mark.parametrize("policy, test", [("grouped", 5), ("as-given", 0)])
def test_without_test_folders_whole_groups_are_drawn(policy, test):
    splits = assign_splits(["CT"] * 50, ["train"] * 50, np.arange(50), policy=policy, seed=0)
    assert splits.count("test") == test and splits.count("validation") == 5


def test_the_test_is_drawn_from_training_and_not_from_a_validation_folder():
    given = ["train"] * 20 + ["validation"] * 20
    splits = assign_splits(["CT"] * 40, given, np.arange(40), policy="grouped", seed=0)
    assert splits[20:] == ["validation"] * 20 and splits[:20].count("test") == 4


def test_shares_are_those_that_were_asked_for():
    splits = assign_splits(
        ["CT"] * 50, ["train"] * 50, np.arange(50), policy="grouped", seed=0, validation_share=0.2, test_share=0.4
    )
    assert splits.count("test") == 20 and splits.count("validation") == 6  # a fifth of the thirty that are left


def test_validation_is_at_most_a_hundred():
    splits = assign_splits(["CT"] * 3000, ["train"] * 3000, np.arange(3000), policy="as-given", seed=0)
    assert splits.count("validation") == 100


def test_one_chain_of_duplicates_still_gets_a_validation_slice():
    splits = assign_splits(["CT"] * 20, ["train"] * 20, np.zeros(20, int), policy="grouped", seed=0)
    assert splits.count("validation") == 2 and splits.count("train") == 18


@pytest.mark.parametrize("seed", range(5))
def test_where_every_slice_has_a_copy_whole_groups_move(seed):
    groups = np.repeat(np.arange(8), 2)
    splits = np.array(assign_splits(["CT"] * 16, ["train"] * 16, groups, policy="grouped", seed=seed))
    assert all(len(set(splits[groups == group])) == 1 for group in range(8))
    assert (splits == "validation").sum() == (splits == "test").sum() == 2


def test_seeds_draw_differently():
    options = dict(policy="grouped")
    drawn = {
        tuple(assign_splits(["CT"] * 30, ["train"] * 30, np.arange(30), seed=seed, **options)) for seed in range(5)
    }
    assert len(drawn) == 5


@given(st.lists(st.integers(0, 6), min_size=3, max_size=30), st.integers(0, 3), st.floats(0.1, 0.4))
@settings(max_examples=50, deadline=None)
def test_patients_stand_on_one_side(groups, seed, share):
    groups = np.array(groups)
    splits = assign_patients(groups, ["train"] * len(groups), policy="grouped", seed=seed, share=share)
    if splits is None:
        assert len(set(groups.tolist())) < 3 or round(share * len(set(groups.tolist()))) >= 2
        return
    assert set(splits) == {"train", "validation", "test"}
    for group in set(groups.tolist()):
        assert len({side for side, one in zip(splits, groups) if one == group}) == 1


def test_given_test_patients_stay_and_two_patients_are_too_few():
    groups = np.array([0, 0, 1, 1, 2, 2])
    given = ["train"] * 4 + ["test"] * 2
    splits = assign_patients(groups, given, policy="grouped", seed=0, share=0.1)
    assert splits[4:] == ["test"] * 2 and sorted(splits[:4]) == ["train"] * 2 + ["validation"] * 2
    assert assign_patients(groups[:4], ["train"] * 4, policy="grouped", seed=0, share=0.1) is None


def test_a_patient_in_validation_and_test_folders_validates():
    given = ["validation", "test", "test", "train", "train"]
    splits = assign_patients(np.array([0, 0, 1, 2, 3]), given, policy="grouped", seed=0, share=0.2)
    assert splits == ["validation", "validation", "test", "train", "train"]


def test_a_validation_folder_of_copies_is_drawn_anew():
    """All of it belongs to training; a training without validation would choose by nothing."""
    groups = np.array([0, 1, *range(20)])
    splits = assign_splits(["CT"] * 22, ["validation"] * 2 + ["train"] * 20, groups, policy="grouped", seed=0)
    assert "validation" in splits and set(splits[:2]) <= {"train", "validation", "test"}
    assert all(splits[index] == splits[index + 2] for index in (0, 1))
