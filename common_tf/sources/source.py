"""What every kind of data is turned into: cases that can be loaded, with what was seen while they were listed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts
from common_tf.splits.finding import Finding, shown
from common_tf.volumes.slices import ALONE, Slab

SPLIT_FOLDERS = {
    "training": "train", "train": "train", "validation": "validation", "valid": "validation", "val": "validation",
    "testing": "test", "test": "test",
}  # fmt: skip
"""Names of folders that say which split their files are for, in lower case."""


def split_and_patient(place: PurePosixPath) -> tuple[str, str]:
    """What the folders above a file of one patient say: its split, as of `SPLIT_FOLDERS`, and the patient.

    Args:
        place: relative to the root.

    Returns:
        Either may be ``""``.
    """
    folders = place.parts[:-1]
    split = SPLIT_FOLDERS.get(folders[0].lower(), "") if folders else ""
    rest = folders[1:] if split else folders
    return split, rest[0] if rest else ""


LISTED = 20
"""Names that an error or a finding lists before it says how many more there are."""


@dataclass(frozen=True)
class Loaded:
    """A case in memory.

    Attributes:
        pictures: by label; aligned ones know their common head.
        facts: what each one's file says of itself.
        lesion: ``(height, width)`` bool where it is known.
        notes: what a person should know of this case, such as the values of its mask.
        digests: hexadecimal SHA-256 by label, of pictures that are no file of their own.
    """

    pictures: Mapping[str, Picture]
    facts: Mapping[str, FileFacts]
    lesion: np.ndarray | None = None
    notes: Sequence[str] = ()
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One slice of one head: a single picture, or several aligned ones.

    Attributes:
        name: unique in its source: the path relative to the source's root (``/`` between parts), or ``phantom/SEED``.
        files: by label (domain or class) the path of each picture relative to the root; the same for tiles of one
            strip; for drawn heads the name.
        given_split: ``train``, ``validation``, ``test``, or ``""``, as its folder says.
        load: decodes it; raises `BadPicture`.
        paths: the files themselves, by label; empty for drawn heads and for slices of volumes.
        extra: further files that belong to it, such as masks; they are hashed with it.
        reading: what decides beside the files what is loaded, such as the order of a strip's tiles.
        patient: who it is; ``""`` where nobody knows.
        identity: for drawn heads, everything that decides what is drawn.
        place: of a slice of a volume, the file or folder that the volume is.
        read_from: of a slice of a volume, the files that it is read from; all slices of one volume share the tuple.
        volume: reads that volume, a `common_tf.sources.volumes.OpenedVolume`.
        plane: of a slice of a volume.
        slab: the slices of it that its pictures bring along.
        slab_mm: from one of these to the next.
        around: what they are; it decides what is prepared, and not what is seen of the slice itself.
    """

    name: str
    files: Mapping[str, str]
    given_split: str
    load: Callable[[], Loaded]
    paths: Mapping[str, Path] = field(default_factory=dict)
    extra: Sequence[Path] = ()
    reading: str = ""
    patient: str = ""
    identity: str = ""
    place: Path | None = None
    read_from: tuple[Path, ...] = ()
    volume: Callable[[], Any] | None = None
    plane: str = ""
    slab: Slab = ALONE
    slab_mm: float = 0.0
    around: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of its pictures."""
        return tuple(self.files)

    def with_patient(self, patient: str) -> "Case":
        """The same case of a known patient."""
        return replace(self, patient=patient)


@dataclass(frozen=True)
class Source:
    """Data of one kind, listed and not yet decoded.

    Attributes:
        kind: ``folders``, ``pairs``, ``classes``, ``segmentation`` or ``drawn``.
        root: the folder; ``None`` for drawn heads.
        cases: all of them.
        findings: what was seen while listing: files that are not read, patients.
    """

    kind: str
    root: Path | None
    cases: Sequence[Case]
    findings: Sequence[Finding] = ()

    @property
    def is_aligned(self) -> bool:
        """Whether its cases hold aligned pictures of two labels."""
        return all(len(case.labels) > 1 for case in self.cases)


def listed(names: Sequence[str], *, most: int = LISTED) -> str:
    """Names for a message, the first of many."""
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + more
