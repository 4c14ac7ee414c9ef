"""A run that starts from another run's weights has seen what that one was trained on: such images cannot test it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.sources.dataset import Dataset
from common_tf.splits.finding import Finding
from common_tf.splits.manifest import MANIFEST_FILE
from common_tf.splits.seen import lineage, trained_rows

FLAG = "--weights"
_TOPIC = "start weights"
_TEST, _UNUSED = "test", "unused"


def without_seen(
    start: Path, dataset: Dataset, splits: Sequence[Sequence[str] | np.ndarray], *, way_out: str
) -> tuple[list[np.ndarray], list[Finding]]:
    """Takes the images that the start weights have seen out of the test.

    Args:
        start: folder of the run that another one starts from.
        dataset: of the new run.
        splits: of each fold, ``(n,)`` words.
        way_out: what else the user may do where nothing is left.

    Returns:
        The splits, in which test images of a group that the start run (or what it started from) has trained on are
        ``unused``; and what the audit has to say of it.

    Raises:
        UserError: no test image is left in some fold, or a manifest that cannot tell.
    """
    manifest, kept = start / MANIFEST_FILE, [np.asarray(split) for split in splits]
    lost_ones = [run / MANIFEST_FILE for run in lineage(start) if not (run / MANIFEST_FILE).exists()]
    text = "not there, so nobody can tell which test images the start weights were trained on"
    findings = [Finding("warning", _TOPIC, f"{one}: {text}", 0) for one in lost_ones]
    if not manifest.exists():
        return kept, findings
    seen = _drawn_before(dataset, manifest) if dataset.is_drawn else dataset.seen(manifest, flag=FLAG)
    groups = np.isin(dataset.groups, dataset.groups[seen])
    results = [np.where((split == _TEST) & groups, _UNUSED, split) for split in kept]
    if any(not (split == _TEST).any() for split in results):
        raise UserError(f"{FLAG} {start}: has trained on images of every group of the test set; {way_out}")
    tested = np.any([split == _TEST for split in kept], axis=0)
    lost = tested & groups
    if not lost.any():
        return results, findings
    names = tuple(dataset.cases[index].name.rsplit("/", 1)[-1] for index in np.flatnonzero(lost))
    text = (
        f"{lost.sum()} of {tested.sum()} test files share a group with the training files of the start weights "
        f"{start}; not used"
    )
    return results, [*findings, Finding("warning", _TOPIC, text, len(names), names)]


def _drawn_before(dataset: Dataset, manifest: Path) -> np.ndarray:
    """Drawn heads have no hashes; the same name is the same head."""
    names = {row.path for row in trained_rows(manifest) if row.note == "drawn"}
    return np.array([case.name in names for case in dataset.cases])
