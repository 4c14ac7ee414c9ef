"""Which case goes to training, validation and test."""

from collections.abc import Sequence

import numpy as np

from common_tf.randomness import Stream

VALIDATION_SHARE = 0.1
TEST_SHARE = 0.1
_LARGEST_VALIDATION = 100
_DRAWN = Stream("splits")


def assign_splits(
    labels: Sequence[str],
    given: Sequence[str],
    groups: np.ndarray,
    *,
    policy: str,
    seed: int,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
) -> list[str]:
    """Assigns each case to ``train``, ``validation`` or ``test``.

    ``grouped``: a group with members in the given training and other folders goes to training as a whole (one in the
    given validation and test folders to validation), so the test set is what is left of the given one. Where a label
    has no test folder, whole groups are drawn for the test.
    ``as-given``: the folders decide. Either way, where no validation folder is given the validation cases are whole
    groups drawn from the training side: a share of each label's cases, at most 100; single cases only where no whole
    group can be spared.

    Args:
        labels: of each case; cases of unlike labels are counted apart.
        given: ``train``, ``validation`` or ``test``, as the folder of each says.
        groups: ``(n,)`` int.
        policy: ``grouped`` or ``as-given``.
        seed: of the draw; the same cases, seed and policy give the same splits.
        validation_share, test_share: of each label's cases.
    """
    splits = np.array(list(given), dtype=object)
    kinds = np.array(list(labels))
    folders = splits.copy()
    if policy == "grouped":
        _keep_whole(splits, groups)
        for label in sorted(set(labels)):
            if not np.any((kinds == label) & (folders == "test")):
                wanted = int(test_share * np.sum(kinds == label))
                training = (kinds == label) & (splits == "train")
                _draw(splits, groups, training, "test", wanted, _DRAWN.numpy(seed, "test", label))
    for label in sorted(set(labels)):
        if np.any((kinds == label) & (splits == "validation")):
            continue
        training = (kinds == label) & (splits == "train")
        wanted = min(_LARGEST_VALIDATION, int(np.ceil(validation_share * training.sum())))
        random = _DRAWN.numpy(seed, "validation", label)
        _draw(splits, groups, training, "validation", wanted, random)
        if training.sum() > 1 and not np.any((kinds == label) & (splits == "validation")):
            # Everything hangs together in one chain of near-duplicates. Validation needs a slice all the same; the
            # audit reports it as a leak.
            splits[random.choice(np.flatnonzero(training), wanted, replace=False)] = "validation"
    return splits.tolist()


def assign_patients(
    groups: np.ndarray, given: Sequence[str], *, policy: str, seed: int, share: float
) -> list[str] | None:
    """Splits of few groups (patients): whole ones for validation, and for the test where no test folder is given.

    Args:
        groups: ``(n,)`` int.
        given, policy: as for `assign_splits`.
        seed: of the draw.
        share: of the groups that validation and test take, one each at least.

    Returns:
        ``None`` where there are too few groups.
    """
    splits = np.array(list(given), dtype=object)
    if policy == "grouped":
        _keep_whole(splits, groups)
    free = np.unique(groups[splits == "train"])
    wanted = [side for side in ("validation", "test") if not np.any(splits == side)]
    if len(free) < len(wanted) + 1:
        return None
    drawn = _DRAWN.numpy(seed, "patients").permutation(free)
    count = max(1, round(share * len(free)))
    for number, side in enumerate(wanted):
        mine = np.isin(groups, drawn[number * count : (number + 1) * count])
        splits[mine & (splits == "train")] = side
    return splits.tolist() if np.any(splits == "train") else None


def _keep_whole(splits: np.ndarray, groups: np.ndarray) -> None:
    """A group that stands in several given folders goes to validation as a whole, or to training where it is there."""
    given = splits.copy()
    for side in ("validation", "train"):  # the latter last: it wins
        splits[np.isin(groups, groups[given == side])] = side


def _draw(splits, groups, eligible, target: str, wanted: int, random: np.random.Generator) -> None:
    """Moves whole groups out of training until ``wanted`` eligible files have moved, and never all of them.

    Groups larger than a third of what is wanted stay: one long chain of similar slices makes a poor yardstick. Where
    all are larger, the smallest ones move, up to a quarter of the files. Groups that reach outside the eligible files
    (two domains, or a leak that `as-given` keeps) stay in any case.
    """
    sizes, inside = np.bincount(groups), np.bincount(groups, weights=eligible)
    order = [group for group in random.permutation(np.unique(groups[eligible])) if inside[group] == sizes[group]]
    quarter = eligible.sum() / 4
    small = [group for group in order if sizes[group] <= max(1, wanted / 3)]
    others = [group for group in sorted(order, key=lambda group: sizes[group]) if sizes[group] <= quarter]
    by_group, ends = np.argsort(groups, kind="stable"), np.cumsum(sizes)
    left = int((eligible & (splits == "train")).sum())
    moved = 0
    for group in small or others:
        if moved >= wanted:
            return
        if left > sizes[group]:
            members = by_group[ends[group] - sizes[group] : ends[group]]
            left -= int((eligible[members] & (splits[members] == "train")).sum())
            splits[members] = target
            moved += sizes[group]
