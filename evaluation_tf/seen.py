"""Has a run trained on these images? Its manifest knows, and knows what it held out."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from common_tf.sources.dataset import Dataset
from common_tf.sources.scanning import Scan
from common_tf.splits.manifest import MANIFEST_FILE
from common_tf.splits.seen import inherited_rows, own_manifests, seen_among, seen_in_training, trained_on

_HELD_OUT = ("test", "unused")  # what its start weights knew is unused, and counts below


def seen_by(run: Path, scans: Sequence[Scan], *, flag: str) -> np.ndarray:
    """Which files are (nearly) among those that a run was trained on, ``(n,)`` bool.

    Outlines of heads can be alike although the patients are not. A file that the run itself held out, in a group that
    it did not train on, is not taken for one that stands in the same manifest: those are known to be of another
    patient, or were compared when it was split.
    What it looks like among the run's other files, such as slices beside its pairs or those behind its start weights,
    counts.

    Args:
        run: its folder.
        scans: of the files.
        flag: what the user named the run by, for the error.

    Raises:
        UserError: no manifest, or one that cannot tell.
    """
    seen = seen_in_training(scans, run / MANIFEST_FILE, flag=flag)
    if not seen.any():
        return seen
    own, inherited = own_manifests(run / MANIFEST_FILE), inherited_rows(run / MANIFEST_FILE)
    mine = {row.sha256 for row in trained_on(chain(*own))}
    trained = mine | {row.sha256 for row in inherited}
    seen = seen_among(scans, [row for row in inherited if row.sha256 not in mine])
    for rows in own:
        groups = {row.group for row in trained_on(rows)}
        held_out = {row.sha256 for row in rows if row.split in _HELD_OUT and row.group not in groups} - trained
        seen |= seen_among(scans, trained_on(rows)) & ~np.array([scan.sha256 in held_out for scan in scans], bool)
    return seen


def seen_cases_by(run: Path, dataset: Dataset, *, flag: str) -> np.ndarray:
    """`seen_by` for cases of one or more pictures: which ones hold any that was seen."""
    flat = [scan for scans in dataset.scans for scan in scans]
    owners = np.repeat(np.arange(len(dataset.scans)), [len(scans) for scans in dataset.scans])
    seen = np.zeros(len(dataset.scans), bool)
    seen[owners[seen_by(run, flat, flag=flag)]] = True
    return seen
