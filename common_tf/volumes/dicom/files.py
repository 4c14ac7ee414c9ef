"""Which files of a folder are DICOM, and to which series each belongs."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from common_tf.volumes.volume import BadVolume, one_line

# Odd values in tags are everyday; those that matter are asked for and checked.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
warnings.filterwarnings("ignore", module=r"pydicom\.")

_PREFIX = b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x02", b"\x00\x08")
_LOCALISER = "LOCALIZER"
_HEADER_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "SeriesDescription", "SeriesNumber", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "ImageType", "ImageOrientationPatient", "ImagePositionPatient",
    "EchoTime", "EchoNumbers", "AcquisitionNumber", "TemporalPositionIdentifier",
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Files of one series that show one stack of slices.

    Attributes:
        uid: SeriesInstanceUID.
        description: SeriesDescription, for a person who has to choose.
        modality: ``CT``, ``MR``, ...
        paths: its files, in no order.
        notes: what was left out, such as localisers.
    """

    uid: str
    description: str
    modality: str
    paths: Sequence[Path]
    notes: Sequence[str] = ()

    def words(self) -> str:
        """The series in one line."""
        return (
            f"{self.modality or 'no modality'} {self.description or 'without a description'!r}, {len(self.paths)} files"
        )


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by what it holds; also without preamble, as older programs write it.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as stream:
        start = stream.read(132)
    return start[128:] == _PREFIX or (len(start) == 132 and start[:2] in _FIRST_GROUPS and _holds_an_image(path))


def read_header(path: Path) -> Dataset:
    """A file's tags without its pixels; only those that say what it belongs to.

    Raises:
        BadVolume: it cannot be read as DICOM.
    """
    with interpreting(path):
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER_TAGS), force=True)


@contextmanager
def interpreting(path: Path) -> Iterator[None]:
    """Names the file in whatever a damaged one provokes: tags are decoded when they are asked for, not when it is read.

    Raises:
        BadVolume: in place of any other error.
    """
    try:
        yield
    except (BadVolume, MemoryError):
        raise
    except Exception as error:
        raise BadVolume(f"{path.name}: truncated or corrupt DICOM ({one_line(error)})") from error


def find_series(paths: Iterable[Path]) -> list[Series]:
    """Sorts DICOM files into stacks.

    Slices belong together that have one series, one size, one orientation, one echo. Localisers and files without
    pixels (structure sets, reports) are left out with a note. What lies twice in one place is told apart by its
    acquisition where that does it.

    Args:
        paths: DICOM files of any order and with any names.

    Returns:
        Stacks in the order of their series' numbers.

    Raises:
        BadVolume: a file that cannot be read.
    """
    stacks: dict[tuple, list[tuple[Path, Dataset]]] = {}
    left_out: dict[str, dict[str, int]] = {}
    for path in paths:
        header = read_header(path)
        with interpreting(path):
            uid, reason, stack = str(header.get("SeriesInstanceUID", "")), _left_out(header), _stack(header)
        if reason:
            counted = left_out.setdefault(uid, {})
            counted[reason] = counted.get(reason, 0) + 1
        else:
            stacks.setdefault(stack, []).append((path, header))
    found = []
    for key, members in sorted(stacks.items(), key=lambda item: item[0][:2]):
        notes = tuple(f"{count} {reason} left out" for reason, count in left_out.get(key[1], {}).items())
        found += [_series(part, key[1], notes) for part in _acquisitions(members)]
    return found


def slice_normal(orientation: Sequence[float] | np.ndarray) -> np.ndarray:
    """``(3,)``, the direction across slices of ImageOrientationPatient."""
    return np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))


def _left_out(header: Dataset) -> str:
    if _LOCALISER in [str(part).upper() for part in header.get("ImageType", None) or ()]:
        return "localiser(s)"
    return "" if "Rows" in header else "file(s) without an image"


def _stack(header: Dataset) -> tuple:
    """What slices of one stack have in common: the series' number and UID, then the rest."""
    orientation = header.get("ImageOrientationPatient", None)
    turned = tuple(round(float(one), 2) + 0.0 for one in orientation) if orientation else ()
    number = header.get("SeriesNumber", None)
    several = str(header.get("SOPInstanceUID", "")) if int(header.get("NumberOfFrames", None) or 1) > 1 else ""
    echo = str(header.get("EchoTime", None) or ""), str(header.get("EchoNumbers", None) or "")
    size = header.get("Rows", None), header.get("Columns", None)
    return int(number or 0), str(header.get("SeriesInstanceUID", "")), *size, turned, *echo, several


def _acquisitions(members: list[tuple[Path, Dataset]]) -> list[list[tuple[Path, Dataset]]]:
    """The members as they are, or by acquisition or time where two lie in one place."""
    if not _lie_twice(members):
        return [members]
    for tag in ("AcquisitionNumber", "TemporalPositionIdentifier"):
        parts: dict[str, list[tuple[Path, Dataset]]] = {}
        for member in members:
            parts.setdefault(str(member[1].get(tag, "")), []).append(member)
        if len(parts) > 1 and not any(_lie_twice(part) for part in parts.values()):
            return list(parts.values())
    return [members]


def _lie_twice(members: list[tuple[Path, Dataset]]) -> bool:
    places = [tuple(map(str, header.get("ImagePositionPatient", None) or ())) for _, header in members]
    return len(set(places)) < len(places)


def _series(members: list[tuple[Path, Dataset]], uid: str, notes: tuple[str, ...]) -> Series:
    first = members[0][1]
    return Series(
        uid=uid,
        description=str(first.get("SeriesDescription", "") or ""),
        modality=str(first.get("Modality", "") or ""),
        paths=[path for path, _ in members],
        notes=notes,
    )


def _holds_an_image(path: Path) -> bool:
    try:
        return "SOPClassUID" in read_header(path)
    except BadVolume:
        return False
