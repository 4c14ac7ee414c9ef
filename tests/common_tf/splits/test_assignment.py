from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common_tf.splits.assignment import assign_splits
from common_tf.splits.scanning import ScannedFile


def _files(labels, given):
    return [
        ScannedFile(path=Path(f"{i}.png"), label=label, given_split=side)
        for i, (label, side) in enumerate(zip(labels, given))
    ]


FILES = st.lists(
    st.tuples(st.sampled_from(["CT", "MRI"]), st.sampled_from(["train", "test"]), st.integers(0, 15)),
    min_size=4,
    max_size=60,
)


@given(FILES, st.integers(0, 5))
@settings(max_examples=100, deadline=None)
def test_grouped_never_splits_a_group_between_training_and_test(rows, seed):
    files = _files([row[0] for row in rows], [row[1] for row in rows])
    groups = np.array([row[2] for row in rows])
    splits = np.array(assign_splits(files, groups, policy="grouped", seed=seed))
    for group in set(groups.tolist()):
        sides = set(splits[groups == group])
        # Validation may share a group with training where nothing else could be spared; the test never does.
        assert len(sides) == 1 or sides == {"train", "validation"}
    assert assign_splits(files, groups, policy="grouped", seed=seed) == splits.tolist()
    for label in ("CT", "MRI"):
        mine = np.array([file.label == label for file in files])
        if mine.any() and any(file.given_split == "train" for file in files if file.label == label):
            assert (splits[mine] == "train").any()


def test_a_spanning_group_goes_to_training():
    files = _files(["CT"] * 4, ["train", "test", "test", "train"])
    splits = assign_splits(files, np.array([0, 0, 1, 2]), policy="grouped", seed=0)
    assert splits[1] != "test" and splits[2] == "test"


def test_as_given_keeps_the_folders():
    files = _files(["CT"] * 40, ["train"] * 30 + ["test"] * 10)
    groups = np.array([0] * 5 + list(range(1, 26)) + [0] * 10)
    splits = assign_splits(files, groups, policy="as-given", seed=0)
    assert splits[30:] == ["test"] * 10
    assert splits[:30].count("validation") == 3
    # A group that leaks into the test is no yardstick either.
    assert "validation" not in splits[:5]


@pytest.mark.parametrize("policy, test", [("grouped", 5), ("as-given", 0)])
def test_without_test_folders_whole_groups_are_drawn(policy, test):
    files = _files(["CT"] * 50, ["train"] * 50)
    splits = assign_splits(files, np.arange(50), policy=policy, seed=0)
    assert splits.count("test") == test and splits.count("validation") == 5


def test_validation_is_at_most_a_hundred():
    files = _files(["CT"] * 3000, ["train"] * 3000)
    assert assign_splits(files, np.arange(3000), policy="as-given", seed=0).count("validation") == 100


def test_one_chain_of_duplicates_still_gets_a_validation_slice():
    files = _files(["CT"] * 20, ["train"] * 20)
    splits = assign_splits(files, np.zeros(20, int), policy="grouped", seed=0)
    assert splits.count("validation") == 2 and splits.count("train") == 18
