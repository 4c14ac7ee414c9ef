"""Two domains in folders: trainA/ trainB/ [testA/ testB/]."""

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from common_tf.errors import UserError
from common_tf.images.reading import EXTENSIONS, image_paths
from common_tf.splits.assignment import SPLITS, assign_splits
from common_tf.splits.audit import Finding, audit
from common_tf.splits.groups import group_numbers, near_duplicate_pairs
from common_tf.splits.manifest import ManifestRow, manifest_row
from common_tf.splits.scanning import ScannedFile, scan_files

_BLANK_EXTENT = 0.05
_LISTED = 20


@dataclass(frozen=True)
class SplitFiles:
    """The scanned files of two domains, who goes where, and what is wrong.

    Attributes:
        files: good files.
        splits: train, validation or test of each.
        findings: the audit.
        rows: the manifest: good and left-out files.
    """

    files: Sequence[ScannedFile]
    splits: Sequence[str]
    findings: Sequence[Finding]
    rows: Sequence[ManifestRow]

    def select(self, label: str, split: str) -> list:
        """The files of a domain in a split."""
        return [file for file, side in zip(self.files, self.splits) if file.label == label and side == split]

    def counts(self, labels: Sequence[str]) -> dict:
        """How many files of each label stand in each split."""
        return {label: {split: len(self.select(label, split)) for split in SPLITS} for label in labels}


def load_unpaired(data: Path, *, domains: Sequence[str], split: str, bad_files: str, seed: int) -> SplitFiles:
    """Scans, groups, splits and audits a two-domain data set.

    Args:
        data: the folder with trainA/ and trainB/.
        domains: names of A and B; the files' labels.
        split: ``grouped`` or ``as-given``.
        bad_files: ``stop`` or ``skip``.
        seed: of the drawn splits.

    Raises:
        UserError: missing or empty folders, bad files with ``stop``, or too few images to train on.
    """
    data = Path(data)
    scanned = []
    for letter, domain in zip("AB", domains):
        for given in ("train", "test"):
            folder = data / f"{given}{letter}"
            if folder.is_dir():
                scanned += scan_files(image_paths(folder), label=domain, given_split=given)
            elif given == "train":
                raise UserError(
                    f"{data}: no folder train{letter}; a data set has trainA/ ({domains[0]}) and trainB/ "
                    f"({domains[1]}), and may have testA/ and testB/"
                )
    for letter, domain in zip("AB", domains):
        if not any(file.label == domain and file.given_split == "train" for file in scanned):
            raise UserError(f"{data / ('train' + letter)}: no image files ({', '.join(EXTENSIONS)}) in it")
    bad = [file for file in scanned if file.problem]
    if bad and bad_files == "stop":
        listed = "; ".join(f"{_place(data, file)}: {file.problem}" for file in bad[:_LISTED])
        more = f"; and {len(bad) - _LISTED} more" if len(bad) > _LISTED else ""
        raise UserError(f"{len(bad)} files cannot be used ({listed}{more}); mend them or add --bad-files skip")
    good = [file for file in scanned if not file.problem]
    blank = [file for file in good if file.extent < _BLANK_EXTENT]
    files = [file for file in good if file.extent >= _BLANK_EXTENT]
    for letter, domain in zip("AB", domains):
        count = sum(file.label == domain and file.given_split == "train" for file in files)
        if count < 2:
            raise UserError(f"{data / ('train' + letter)}: {count} usable image(s); training wants at least 2")
    groups = group_numbers(len(files), near_duplicate_pairs(files))
    splits = assign_splits(files, groups, policy=split, seed=seed)
    rows = [
        manifest_row(data, file, split=side, group=f"{group:05d}")
        for file, side, group in zip(files, splits, groups.tolist())
    ]
    rows += [manifest_row(data, file, split="skipped", group="", note="blank: no head found") for file in blank]
    rows += [manifest_row(data, file, split="skipped", group="", note=file.problem) for file in bad]
    findings = audit(files, groups, splits)
    for note, left_out in (("blank slices, left out", blank), ("unusable files, left out", bad)):
        if left_out:
            names = tuple(file.path.name for file in left_out)
            findings.append(Finding("note", note, f"{len(left_out)} {note}", len(left_out), names))
    order = {"train": 0, "validation": 1, "test": 2, "skipped": 3}
    rows.sort(key=lambda row: (row.label, order[row.split], row.path))
    return SplitFiles(files=files, splits=splits, findings=findings, rows=rows)


def _place(data: Path, file: ScannedFile) -> str:
    return file.path.relative_to(data).as_posix()
