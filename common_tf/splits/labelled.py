"""Class folders, perhaps under Training/ and Testing/: one folder a class, one label a file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.images.reading import EXTENSIONS, image_paths
from common_tf.splits.audit import Finding, audit
from common_tf.splits.groups import group_numbers, near_duplicate_pairs
from common_tf.splits.manifest import ManifestRow, manifest_row
from common_tf.splits.scanning import ScannedFile, scan_files
from common_tf.splits.seen import seen_in_training

SPLIT_FOLDERS = {"training": "train", "train": "train", "testing": "test", "test": "test"}
_POSITIVE_NAMES = ("yes", "tumor", "tumour", "lesion", "positive", "abnormal")
_LISTED = 20


@dataclass(frozen=True)
class LabelledFiles:
    """The usable files of a classification set.

    Attributes:
        classes: names by class number; with two the second is the positive one.
        files: scanned, in the order of everything below.
        groups: near-duplicate group of each.
        rows: manifest rows, ``split`` empty.
        skipped: manifest rows of files left out, with the reason.
        findings: the audit of the folders as given.
    """

    classes: Sequence[str]
    files: Sequence[ScannedFile]
    groups: np.ndarray
    rows: Sequence[ManifestRow]
    skipped: Sequence[ManifestRow]
    findings: Sequence[Finding]


def load_labelled(data: Path, *, bad_files: str, positive: str = "", exclude: str = "") -> LabelledFiles:
    """Scans, groups and audits class folders.

    Args:
        data: holds the class folders, or Training/ and Testing/ (also train/, test/) that do.
        bad_files: ``stop`` or ``skip``.
        positive: the positive one of two classes; ``""`` to tell it by its name (yes, tumor, lesion, ...).
        exclude: manifest.csv of another run; a group with a near-duplicate of its training or validation files is left
            out whole. ``""`` for none.

    Raises:
        UserError: no class folders, fewer than two classes, files that cannot be used, a manifest that cannot be read.
    """
    data = Path(data)
    scanned = []
    for given, root in _roots(data):
        for folder in _class_folders(root):
            scanned += scan_files(image_paths(folder), label=folder.name, given_split=given)
    classes = sorted({file.label for file in scanned})
    if len(classes) < 2:
        raise UserError(
            f"{data}: a folder with images ({', '.join(EXTENSIONS)}) for each of two or more classes is wanted, found "
            f"{len(classes)}; the classes may stand under Training/ and Testing/"
        )
    classes = _ordered(classes, positive)
    bad = [file for file in scanned if file.problem]
    if bad and bad_files == "stop":
        listed = "; ".join(f"{file.path.relative_to(data)}: {file.problem}" for file in bad[:_LISTED])
        raise UserError(f"{len(bad)} files cannot be used ({listed}); mend them or add --bad-files skip")
    files = [file for file in scanned if not file.problem]
    groups = group_numbers(len(files), near_duplicate_pairs(files))
    given = [file.given_split or "train" for file in files]
    findings = audit(files, groups, given)
    skipped = [manifest_row(data, file, split="skipped", group="", note=file.problem) for file in bad]
    if exclude:
        dropped = np.isin(groups, groups[seen_in_training(files, Path(exclude), flag="--exclude")])
        skipped += [
            manifest_row(
                data, file, split="skipped", group=f"{group:05d}", note="excluded: in the training of another run"
            )
            for file, group, drop in zip(files, groups, dropped)
            if drop
        ]
        text = f"{dropped.sum()} files share a group with the training files of {exclude}; left out"
        findings.append(Finding("note", "excluded", text, int(dropped.sum()), ()))
        files = [file for file, drop in zip(files, dropped) if not drop]
        groups = groups[~dropped]
    for name in classes:
        count = sum(file.label == name for file in files)
        if count < 4:
            raise UserError(f"{data}: class {name} has {count} usable image(s); training wants at least 4")
    rows = [manifest_row(data, file, split="", group=f"{group:05d}") for file, group in zip(files, groups.tolist())]
    return LabelledFiles(
        classes=tuple(classes), files=files, groups=groups, rows=rows, skipped=skipped, findings=findings
    )


def with_splits(rows: Sequence[ManifestRow], splits: Sequence[str]) -> list:
    """The rows with their ``split`` filled in."""
    return [replace(row, split=split) for row, split in zip(rows, splits)]


def _roots(data: Path) -> list:
    """Pairs of given split and folder: Training/ and Testing/ where they are, else the data folder itself."""
    found = [
        (SPLIT_FOLDERS[folder.name.lower()], folder)
        for folder in sorted(data.iterdir())
        if folder.is_dir() and folder.name.lower() in SPLIT_FOLDERS
    ]
    if found and not any(given == "train" for given, _ in found):
        raise UserError(f"{data}: has a test folder but no Training/ or train/ beside it")
    return found or [("", data)]


def _class_folders(root: Path) -> list:
    return [
        folder
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and image_paths(folder)
    ]


def _ordered(classes: list, positive: str) -> list:
    if positive and positive not in classes:
        raise UserError(f"--set positive={positive}: no such class; there are {', '.join(classes)}")
    if len(classes) > 2:
        return classes
    guesses = [name for name in classes if name.lower() in _POSITIVE_NAMES]
    chosen = positive or (guesses[0] if len(guesses) == 1 else "")
    if not chosen:
        raise UserError(f"classes {', '.join(classes)}: which one is positive? say --set positive=NAME")
    return [name for name in classes if name != chosen] + [chosen]
