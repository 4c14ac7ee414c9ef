"""Which files of a folder are DICOM, and to which series each belongs."""

import warnings
from collections import Counter
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
_SAME_DIRECTION, _SAME_ECHO = 0.02, 0.01
_HEADER_TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality", "SeriesDescription", "SeriesNumber", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "ImageType", "ImageOrientationPatient", "ImagePositionPatient",
    "EchoTime", "EchoNumbers", "AcquisitionNumber", "TemporalPositionIdentifier", "PatientID", "StudyInstanceUID",
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Files of one series that show one stack of slices.

    Attributes:
        description: SeriesDescription, for a person who has to choose.
        modality: ``CT``, ``MR``, ...
        paths: its files, in no order.
    """

    description: str
    modality: str
    paths: Sequence[Path]

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
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_HEADER_TAGS), force=True)
        for tag in list(header.keys()):
            header[tag]  # noqa: B018 (decoded now, while it is known which file a damaged one is in)
        return header


@contextmanager
def interpreting(path: Path) -> Iterator[None]:
    """Names the file in whatever a damaged one provokes: tags are decoded when they are asked for, not when it is read.

    Raises:
        BadVolume: in place of any other error.
    """
    try:
        yield
    except BadVolume:
        raise
    except Exception as error:  # a damaged length asks for more memory than there is
        raise BadVolume(f"{path.name}: truncated or corrupt DICOM ({one_line(error)})") from error


def find_series(paths: Iterable[Path]) -> tuple[list[Series], Counter]:
    """Sorts DICOM files into stacks.

    Slices belong together that have one patient, one study, one series (without its UID: one folder), one size, one
    orientation and one echo. Localisers and files without pixels (structure sets, reports) are left out, and so are
    single pictures beside whole stacks. What lies twice in one place is told apart by its acquisition where that does
    it.

    Args:
        paths: DICOM files of any order and with any names.

    Returns:
        Stacks in the order of their series' numbers, and how many files were left out, by the reason.

    Raises:
        BadVolume: a file that cannot be read.
    """
    stacks: list[tuple[_Stack, list[tuple[Path, Dataset]]]] = []
    by_series: dict[tuple, list[int]] = {}
    left_out: Counter[str] = Counter()
    for path in paths:
        header = read_header(path)
        with interpreting(path):
            reason, stack = _left_out(header), _stack(header, path)
        if reason:
            left_out[reason] += 1
            continue
        mine = by_series.setdefault(stack.series, [])
        found = next((index for index in mine if stacks[index][0].takes(stack)), None)
        if found is None:
            found = len(stacks)
            mine.append(found)
            stacks.append((stack, []))
        stacks[found][1].append((path, header))
    parts = [part for _, members in sorted(stacks, key=lambda one: one[0].order) for part in _acquisitions(members)]
    whole = [part for part in parts if len(part) > 1 or _frames_of(part[0][1]) > 1]
    if whole and len(whole) < len(parts):
        left_out["single picture(s)"] += len(parts) - len(whole)
    return [_series(part) for part in whole or parts], left_out


@dataclass(frozen=True)
class _Stack:
    """What slices of one stack have in common."""

    order: tuple[int, str]
    series: tuple
    orientation: np.ndarray
    echo: float

    def takes(self, other: "_Stack") -> bool:
        """Whether another slice of the series lies in this stack."""
        if self.orientation.size != other.orientation.size or abs(self.echo - other.echo) > _SAME_ECHO:
            return False
        return not self.orientation.size or bool(np.abs(self.orientation - other.orientation).max() < _SAME_DIRECTION)


def slice_normal(orientation: Sequence[float] | np.ndarray) -> np.ndarray:
    """``(3,)``, the direction across slices of ImageOrientationPatient."""
    return np.cross(np.asarray(orientation[:3], float), np.asarray(orientation[3:], float))


def _left_out(header: Dataset) -> str:
    if _LOCALISER in [str(part).upper() for part in header.get("ImageType", None) or ()]:
        return "localiser(s)"
    return "" if "Rows" in header else "file(s) without an image"


def _stack(header: Dataset, path: Path) -> _Stack:
    uid = str(header.get("SeriesInstanceUID", "") or "")
    # As numbers: a damaged tag may hold several, which are no key.
    size = tuple(None if (side := header.get(tag, None)) is None else int(side) for tag in ("Rows", "Columns"))
    several = str(header.get("SOPInstanceUID", "")) if _frames_of(header) > 1 else ""
    echo_number = str(header.get("EchoNumbers", None) or "")
    who = str(header.get("PatientID", "") or ""), str(header.get("StudyInstanceUID", "") or "")
    return _Stack(
        order=(int(header.get("SeriesNumber", None) or 0), uid),
        series=(uid or path.parent, *who, *size, echo_number, several),
        orientation=np.asarray(header.get("ImageOrientationPatient", None) or (), float),
        echo=float(header.get("EchoTime", None) or 0.0),
    )


def _frames_of(header: Dataset) -> int:
    return int(header.get("NumberOfFrames", None) or 1)


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


def _series(members: list[tuple[Path, Dataset]]) -> Series:
    first = members[0][1]
    return Series(
        description=str(first.get("SeriesDescription", "") or ""),
        modality=str(first.get("Modality", "") or ""),
        paths=[path for path, _ in members],
    )


def _holds_an_image(path: Path) -> bool:
    try:
        return "SOPClassUID" in read_header(path)
    except BadVolume:
        return False
