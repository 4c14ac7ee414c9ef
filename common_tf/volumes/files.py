"""The volumes of a folder: NIfTI files and DICOM series, told by what files hold and not by their names."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from common_tf.errors import UserError
from common_tf.files import every_file, visible_files
from common_tf.pictures.readers import extensions
from common_tf.volumes.dicom.files import Series, find_series, is_dicom
from common_tf.volumes.dicom.reading import read_series
from common_tf.volumes.nifti import is_nifti, read_nifti
from common_tf.volumes.volume import BadVolume, Volume

NIFTI, DICOM = "NIfTI", "DICOM"

_START = 4096
_EXPECTED = ("DICOMDIR", "patients.csv")


@dataclass(frozen=True)
class ReadVolume:
    """A volume in memory.

    Attributes:
        volume: its voxels and grid.
        header: tags of a DICOM series; empty for NIfTI.
        notes: what a person should know.
    """

    volume: Volume
    header: Dataset
    notes: Sequence[str]


@dataclass(frozen=True)
class VolumeFile:
    """A volume that can be read.

    Attributes:
        name: unique in its folder: the file's path relative to it, or the folder of a series (``/`` between parts);
            the folder's own name for a series that fills it.
        kind: ``NIfTI`` or ``DICOM``.
        paths: its files.
        read: reads it; raises `BadVolume` with its name.
        modality: as DICOM says; ``""`` where nobody does.
    """

    name: str
    kind: str
    paths: Sequence[Path]
    read: Callable[[], ReadVolume]
    modality: str = ""


@dataclass(frozen=True)
class VolumeListing:
    """What a folder holds.

    Attributes:
        volumes: by name.
        others: how many other files there are, by ending.
        pictures: how many of those are picture files.
        notes: DICOM files that were left out, such as localisers.
    """

    volumes: Sequence[VolumeFile]
    others: Counter
    pictures: int
    notes: Sequence[str] = ()

    def refuse_pictures(self, where: str) -> None:
        """Raises `UserError` where picture files lie beside volumes.

        Args:
            where: the folder, with the flag that named it.
        """
        if self.volumes and self.pictures:
            raise UserError(f"{where}: holds {self.pictures} picture files beside volumes; give one kind")


def list_volumes(source: Path, *, number: int | None = None, files: Sequence[Path] | None = None) -> VolumeListing:
    """Lists the volumes of a folder and everything below it, or the one that a file is (part of).

    Picture files by their endings are not opened. Hidden files are left out.

    Args:
        source: a folder, a NIfTI file, or a file of a DICOM series, which stands for its series in the same folder.
        number: which volume of a NIfTI file with several.
        files: that `visible_files` found in a folder, where somebody has asked.

    Raises:
        BadVolume: a DICOM file whose tags cannot be read.
    """
    source = Path(source)
    if source.is_file():
        return _of_file(source, number)
    niftis: list[Path] = []
    dicoms: list[Path] = []
    others: Counter[str] = Counter()
    pictures = 0
    for path in every_file(source) if files is None else files:
        kind = _kind(path)
        if kind == NIFTI:
            niftis.append(path)
        elif kind == DICOM:
            dicoms.append(path)
        elif path.name not in _EXPECTED:
            others[ending := path.suffix.lower()] += 1
            pictures += ending in extensions()
    found = [_nifti(path, source, number) for path in niftis]
    series, left_out = find_series(dicoms)
    found += _named_series(series, source)
    return VolumeListing(sorted(found, key=lambda one: one.name), others, pictures, _words(left_out))


def result_places(files: Sequence[VolumeFile], *, as_nifti: bool) -> dict[str, str]:
    """Where what is made of each volume goes, relative to an output: a file for NIfTI, a folder for DICOM.

    No two share a name or that of their picture, also where a disk does not know capitals.

    Args:
        files: the volumes.
        as_nifti: a file for DICOM too.
    """
    places: dict[str, str] = {}
    taken: set[str] = set()
    for file in files:
        is_file = file.kind != DICOM or as_nifti
        stem, ending = file.name, ".nii.gz" if is_file else ""
        if file.kind != DICOM:
            stem, ending = nifti_stem(file.name)
        number, place = 2, f"{stem}{ending}"
        while nifti_stem(place)[0].lower() in taken:
            place, number = f"{stem}-{number}{ending}", number + 1
        taken.add(nifti_stem(place)[0].lower())
        places[file.name] = place
    return places


def nifti_stem(name: str) -> tuple[str, str]:
    """A name without NIfTI's ending, and that ending; ``.nii.gz`` where it has none."""
    for ending in (".nii.gz", ".nii"):
        if name.lower().endswith(ending):
            return name[: -len(ending)], name[-len(ending) :]
    return name, ".nii.gz"


def _of_file(path: Path, number: int | None) -> VolumeListing:
    kind = _kind(path)
    if kind == NIFTI:
        return VolumeListing([_nifti(path, path.parent, number)], Counter(), 0)
    if kind != DICOM:
        return VolumeListing([], Counter([path.suffix.lower()]), int(path.suffix.lower() in extensions()))
    beside = [one for one in visible_files(path.parent, recursive=False) if _kind(one) == DICOM]
    series, left_out = find_series(beside)
    mine = [one for one in series if path in one.paths]
    if not mine:
        mine, left_out = find_series([path])
    return VolumeListing(_named_series(mine, path.parent), Counter(), 0, _words(left_out))


def _words(left_out: Counter) -> list[str]:
    return [f"{count} DICOM {reason} left out" for reason, count in left_out.items()]


def _kind(path: Path) -> str:
    if path.suffix.lower() in extensions() or path.name in _EXPECTED:
        return ""
    try:
        with open(path, "rb") as stream:
            start = stream.read(_START)
        if is_nifti(start):
            return NIFTI
        return DICOM if is_dicom(path) else ""
    except OSError as error:
        raise BadVolume(f"{path}: cannot be read ({error.strerror})") from error


def _nifti(path: Path, root: Path, number: int | None) -> VolumeFile:
    name = path.relative_to(root).as_posix()

    def read() -> ReadVolume:
        try:
            volume, notes = read_nifti(path, number=number)
        except BadVolume as error:
            raise BadVolume(f"{name}: {error}") from error
        return ReadVolume(volume, Dataset(), notes)

    return VolumeFile(name, NIFTI, [path], read)


def _named_series(found: Sequence[Series], root: Path) -> list[VolumeFile]:
    """Series by the folder that holds all of their files, with a number where one folder holds several."""
    folders = [Path(os.path.commonpath([path.parent for path in one.paths])).relative_to(root) for one in found]
    volumes, taken = [], set()
    for one, folder in zip(found, folders):
        wanted = folder.as_posix() if folder.parts else Path(os.path.abspath(root)).name or "series"
        if folders.count(folder) > 1 or any(folder in other.parents for other in folders if other != folder):
            words = re.sub(r"[^a-z0-9]+", "-", one.description.lower()).strip("-")[:32]
            wanted = (folder / f"series{'-' if words else ''}{words}").as_posix()
        name, count = wanted, 2
        while name in taken:
            name, count = f"{wanted}-{count}", count + 1
        taken.add(name)
        volumes.append(_dicom(one, name))
    return volumes


def _dicom(series: Series, name: str) -> VolumeFile:
    def read() -> ReadVolume:
        try:
            return ReadVolume(*read_series(series))
        except BadVolume as error:
            raise BadVolume(f"{name}: {series.words()}: {error}") from error

    return VolumeFile(name, DICOM, series.paths, read, series.modality)
