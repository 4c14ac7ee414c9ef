"""Which file goes to training, validation and test."""

from typing import Sequence

import numpy as np

from common_tf.splits.scanning import ScannedFile

SPLITS = ("train", "validation", "test")
VALIDATION_FRACTION = 0.1
TEST_FRACTION = 0.1
_LARGEST_VALIDATION = 100


def assign_splits(files: Sequence[ScannedFile], groups: np.ndarray, *, policy: str, seed: int) -> list:
    """Assigns each file to one of `SPLITS`.

    ``grouped``: a group with members in the given training and test folders goes to training as a whole, so the test
    set is what is left of the given one. Where the data have no test folders, whole groups are drawn for the test.
    ``as-given``: the folders decide. Either way the validation files are whole groups drawn from the training side:
    a tenth of each label's files, at most 100; single files only where no whole group can be spared.

    Args:
        files: good files.
        groups: their group numbers.
        policy: ``grouped`` or ``as-given``.
        seed: of the draw; the same files, seed and policy give the same splits.

    Returns:
        One of `SPLITS` per file.
    """
    splits = np.array([file.given_split or "train" for file in files], dtype=object)
    labels = np.array([file.label for file in files])
    if policy == "grouped":
        in_training = np.isin(groups, groups[splits == "train"])
        splits[in_training] = "train"
        for number, label in enumerate(sorted(set(labels))):
            if not any(file.given_split == "test" for file in files if file.label == label):
                wanted = int(TEST_FRACTION * np.sum(labels == label))
                _draw(splits, groups, labels == label, "test", wanted, np.random.default_rng([seed, 1, number]))
    for number, label in enumerate(sorted(set(labels))):
        training = (labels == label) & (splits == "train")
        wanted = min(_LARGEST_VALIDATION, int(np.ceil(VALIDATION_FRACTION * training.sum())))
        random = np.random.default_rng([seed, 0, number])
        _draw(splits, groups, training, "validation", wanted, random)
        if training.sum() > 1 and not np.any((labels == label) & (splits == "validation")):
            # Everything hangs together in one chain of near-duplicates. Validation needs a slice all the same; the
            # audit reports it as a leak.
            splits[random.choice(np.flatnonzero(training), wanted, replace=False)] = "validation"
    return splits.tolist()


def _draw(splits, groups, eligible, target: str, wanted: int, random: np.random.Generator) -> None:
    """Moves whole groups out of training until ``wanted`` eligible files have moved, and never all of them.

    Groups larger than a third of what is wanted stay: one long chain of similar slices makes a poor yardstick. Groups
    that reach outside the eligible files (two domains, or a leak that `as-given` keeps) stay too.
    """
    moved = 0
    for group in random.permutation(np.unique(groups[eligible])):
        members = groups == group
        size = int(members.sum())
        left = int((eligible & (splits == "train")).sum())
        if moved >= wanted:
            return
        if np.all(eligible[members]) and size <= max(1, wanted / 3) and left - size >= 1:
            splits[members] = target
            moved += size
