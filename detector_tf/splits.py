"""Which image trains, which chooses, and which is only measured on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from common_tf.errors import UserError
from common_tf.randomness import Stream
from detector_tf.sections import DataSection

TRAIN, VALIDATION, TEST, UNUSED = "train", "validation", "test", "unused"
_DRAW, _FOLDS = Stream("detector.split"), Stream("detector.folds")


@dataclass(frozen=True)
class Grouped:
    """Images to be split, by what must stay together and what must be on every side.

    Attributes:
        labels: ``(n,)`` class numbers.
        groups: ``(n,)`` int.
        given: the split that the folder of each gives, ``""`` for none.
        names: of the classes; a single one is not named in messages.
        of: what the groups are.
    """

    labels: np.ndarray
    groups: np.ndarray
    given: Sequence[str]
    names: Sequence[str]
    of: str

    def sizes(self, eligible: np.ndarray) -> list[dict[int, int]]:
        """For each class its groups and how many eligible images they have; a group is of the class that most of its
        images have.
        """
        names, members = np.unique(self.groups[eligible], return_inverse=True)
        counts = np.zeros((len(names), len(self.names)), int)
        np.add.at(counts, (members, self.labels[eligible]), 1)
        owners = counts.argmax(axis=1)
        return [
            dict(zip(names[owners == number].tolist(), counts[owners == number].sum(axis=1).tolist()))
            for number in range(len(self.names))
        ]

    def want(self, least: int, eligible: np.ndarray, why: str) -> None:
        """Raises `UserError` where a class has fewer groups of eligible images than are wanted."""
        found = [len(mine) for mine in self.sizes(eligible)]
        number = int(np.argmin(found))
        if found[number] < least:
            whose = f"class {self.names[number]} has " if len(self.names) > 1 else ""
            raise UserError(f"{whose}{found[number]} {self.of}; {why}")


def make_splits(images: Grouped, data: DataSection, *, seed: int) -> list[np.ndarray]:
    """The splits of a run: one for a hold-out, ``folds`` for cross-validation.

    Groups stay together in every split but one: with ``as-given`` the folders decide. Where the data have a test (or a
    validation) folder and no folds are wanted, ``grouped`` keeps the files of a group that reaches into the training
    folder out of it; they are not used at all, so that the training set is the given one. What the folders do not
    give is drawn in whole groups from the training side: a share of the images of each class.

    Args:
        images: to split.
        data: the settings.
        seed: of the draws.

    Returns:
        For each fold ``(n,)`` of ``train``, ``validation``, ``test`` or ``unused``.

    Raises:
        UserError: too few groups, or a given folder of which nothing is left.
    """
    everything = np.ones(len(images.labels), bool)
    if data.folds:
        images.want(data.folds, everything, f"{data.folds} folds want as many")
        splits = [np.where(test, TEST, TRAIN).astype("<U10") for test in _folds(images, data.folds, seed)]
    else:
        splits = [_as_folders_say(images, data.split)]
        if not (splits[0] == TEST).any():
            leave = 1 if (splits[0] == VALIDATION).any() else 2
            _draw(images, splits[0], TEST, data.test_share, leave=leave, seed=seed, fold=0)
    for number, split in enumerate(splits):
        if not (split == VALIDATION).any():
            _draw(images, split, VALIDATION, data.validation_share, leave=1, seed=seed, fold=number)
    return splits


def unleaked(split: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """``(n,)`` bool: the test images without a member of their group among the training and validation images."""
    return (split == TEST) & ~np.isin(groups, groups[(split == TRAIN) | (split == VALIDATION)])


def draw_groups(
    images: Grouped, eligible: np.ndarray, *, share: float, leave: int, random: np.random.Generator
) -> np.ndarray:
    """Draws whole groups until about a share of each class' images is drawn.

    Of each class the groups are gone through in random order, and one is taken where it brings the drawn count nearer
    to the share; at least one, and never so many that fewer than ``leave`` stay.

    Args:
        images: to draw from.
        eligible: ``(n,)`` bool, which of them may be drawn.
        share: of the eligible images of each class.
        leave: groups of each class that must stay.
        random: for the order.

    Returns:
        ``(n,)`` bool, the drawn ones.

    Raises:
        UserError: a class has too few groups.
    """
    images.want(leave + 1, eligible, "training, validation and test want one each")
    drawn: list[int] = []
    for sizes in images.sizes(eligible):
        chosen: list[int] = []
        wanted, taken = share * sum(sizes.values()), 0
        order = random.permutation(list(sizes)).tolist()
        for group in order:
            if len(chosen) < len(sizes) - leave and abs(taken + sizes[group] - wanted) < abs(taken - wanted):
                chosen.append(group)
                taken += sizes[group]
        drawn += chosen or [min(order, key=lambda group: sizes[group])]
    return eligible & np.isin(images.groups, drawn)


def _as_folders_say(images: Grouped, policy: str) -> np.ndarray:
    split = np.array([given or TRAIN for given in images.given], dtype="<U10")
    if policy == "as-given":
        return split
    for side, others in ((VALIDATION, (TRAIN,)), (TEST, (TRAIN, VALIDATION))):
        mine = split == side
        split[mine & np.isin(images.groups, images.groups[np.isin(split, others)])] = UNUSED
        if mine.any() and not (split == side).any():
            raise UserError(
                f"every {side} file has a near-duplicate (or its patient) in the training folder; add --split as-given "
                "or --folds 5"
            )
    return split


def _draw(images: Grouped, split: np.ndarray, side: str, share: float, *, leave: int, seed: int, fold: int) -> None:
    random = _DRAW.numpy(seed, side, fold)
    split[draw_groups(images, split == TRAIN, share=share, leave=leave, random=random)] = side


def _folds(images: Grouped, count: int, seed: int) -> list[np.ndarray]:
    """Masks of ``count`` stratified folds of whole groups."""
    folder = StratifiedGroupKFold(count, shuffle=True, random_state=_FOLDS.integer(seed))
    masks = []
    for _, test in folder.split(np.zeros(len(images.labels)), images.labels, images.groups):
        mask = np.zeros(len(images.labels), bool)
        mask[test] = True
        masks.append(mask)
    return masks
