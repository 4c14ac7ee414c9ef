"""A detector that starts from another run has seen what that run was trained on: such images cannot test it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.sources.dataset import Dataset
from common_tf.splits.finding import Finding
from common_tf.splits.manifest import MANIFEST_FILE, read_manifest
from detector_tf.config import DetectorConfig, load_detector_config
from detector_tf.folds import refuse_folds
from detector_tf.splits import TEST, TRAIN, UNUSED, VALIDATION

_TOPIC = "start weights"
_FLAG = "--weights"


def without_seen(
    config: DetectorConfig, dataset: Dataset, splits: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[Finding]]:
    """Takes the images that the start weights have seen out of the test.

    Args:
        config: of the run.
        dataset: its data.
        splits: of `detector_tf.splits.make_splits`.

    Returns:
        The splits, in which test images of a group that the start run (or the run that it started from) has trained on
        are ``unused``; and what the audit has to say of it.

    Raises:
        UserError: no test image is left in some fold, or a manifest that cannot tell.
    """
    start = Path(config.network.weights)
    if not start.is_dir():
        return list(splits), []
    refuse_folds(start, flag=f"{_FLAG} ")
    seen, findings = np.zeros(len(dataset.cases), bool), []
    for run in _ancestors(start):
        manifest = run / MANIFEST_FILE
        if not manifest.exists():
            text = f"{manifest}: not there, so nobody can tell which test images the start weights were trained on"
            findings.append(Finding("warning", _TOPIC, text, 0))
            continue
        seen |= _drawn_before(dataset, manifest) if dataset.is_drawn else dataset.seen(manifest, flag=_FLAG)
    groups = np.isin(dataset.groups, dataset.groups[seen])
    results = [np.where((split == TEST) & groups, UNUSED, split) for split in splits]
    if any(not (split == TEST).any() for split in results):
        raise UserError(
            f"{_FLAG} {start}: has trained on images of every group of the test set; add --exclude "
            f"{start / MANIFEST_FILE}, which leaves out all that it trained on, or start from another run"
        )
    tested = np.any([split == TEST for split in splits], axis=0)
    lost = tested & groups
    if lost.any():
        names = tuple(dataset.cases[index].name.rsplit("/", 1)[-1] for index in np.flatnonzero(lost))
        text = (
            f"{lost.sum()} of {tested.sum()} test files share a group with the training files of the start weights "
            f"{start}; not used"
        )
        findings.append(Finding("warning", _TOPIC, text, len(names), names))
    return results, findings


def _ancestors(run: Path) -> Iterator[Path]:
    """A run, the run that it started from, and so on."""
    known: set[Path] = set()
    while run not in known:
        known.add(run)
        yield run
        if not run.is_dir():
            return
        before = load_detector_config(run).network.weights
        if before in ("none", "imagenet") or Path(before).is_file():
            return
        run = Path(before)


def _drawn_before(dataset: Dataset, manifest: Path) -> np.ndarray:
    """Drawn heads have no hashes; the same name is the same head."""
    rows = read_manifest(manifest)
    names = {row.path for row in rows if row.note == "drawn" and row.split in (TRAIN, VALIDATION)}
    return np.array([case.name in names for case in dataset.cases])
