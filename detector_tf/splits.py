"""Which image trains, which chooses, and which is only measured on."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from common_tf.errors import UserError
from detector_tf.config import DetectorConfig
from detector_tf.data import Images


def make_splits(images: Images, config: DetectorConfig) -> list:
    """The splits of a run: one for a hold-out, ``folds`` for cross-validation.

    Near-duplicate groups stay together in every split but one: with ``--split as-given`` the test folder is used as
    it is. Where the data have a test folder and no folds are wanted, ``grouped`` keeps the files of a group that
    reaches into the training folder out of the test; they are not used at all, so that the training set is the given
    one. Validation is always drawn by groups from the training side.

    Returns:
        One mapping per fold: ``train``, ``validation``, ``test`` to ``(n,)`` bool.

    Raises:
        UserError: too few groups for so many folds.
    """
    everything = np.ones(len(images.labels), bool)
    if config.folds:
        tests = _folds(images, everything, config.folds, config.seed)
        trainings = [~test for test in tests]
    elif images.given_test.any():
        leaked = np.isin(images.groups, images.groups[~images.given_test])
        tests = [images.given_test & ~leaked if config.split == "grouped" else images.given_test]
        trainings = [~images.given_test]
        if not tests[0].any():
            raise UserError(
                "every test file has a near-duplicate in the training folder; add --split as-given or --folds 5"
            )
    else:
        tests = _folds(images, everything, max(2, round(1 / config.test_share)), config.seed)[:1]
        trainings = [~tests[0]]
    splits = []
    for test, training in zip(tests, trainings):
        parts = min(max(2, round(1 / config.validation_share)), max(2, _smallest_class(images, training)))
        validation = _folds(images, training, parts, config.seed + 1)[0]
        splits.append({"train": training & ~validation, "validation": validation, "test": test})
    return splits


def unleaked(images: Images, split) -> np.ndarray:
    """``(n,)`` bool: the test images without a near-duplicate among the training and validation images."""
    return split["test"] & ~np.isin(images.groups, images.groups[split["train"] | split["validation"]])


def _smallest_class(images: Images, chosen: np.ndarray) -> int:
    """Distinct groups of the rarest class among the chosen images."""
    labels, groups = images.labels[chosen], images.groups[chosen]
    return min(len(np.unique(groups[labels == label])) for label in np.unique(images.labels))


def _folds(images: Images, chosen: np.ndarray, count: int, seed: int) -> list:
    """Masks of ``count`` stratified folds of whole groups."""
    indices = np.flatnonzero(chosen)
    smallest = _smallest_class(images, chosen)
    if smallest < count:
        raise UserError(f"the rarest class has {smallest} distinct groups of images; {count} folds want as many")
    folder = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    masks = []
    for _, test in folder.split(indices, images.labels[indices], images.groups[indices]):
        mask = np.zeros(len(images.labels), bool)
        mask[indices[test]] = True
        masks.append(mask)
    return masks
