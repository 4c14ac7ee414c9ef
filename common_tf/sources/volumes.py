"""Slices of volumes as cases: a volume is of one patient, and a few at a time are in memory."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

import numpy as np

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import VOLUME_BITS, FileFacts
from common_tf.progress import progress
from common_tf.sources.source import Case, Loaded
from common_tf.splits.finding import Finding
from common_tf.splits.groups import group_numbers
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.planes import Slices, slices_of
from common_tf.volumes.resampling import on_planes
from common_tf.volumes.slices import ALONE, EVERY_AXIAL, Slab, Slicing, picture_of, stride_of
from common_tf.volumes.volume import BadVolume, Volume
from common_tf.volumes.windows import training_window

_IN_MEMORY = 3
_WHO = ("PatientID", "StudyInstanceUID")
_FEW = 3


@dataclass(frozen=True)
class OpenedVolume:
    """A volume in memory, as a training sees it.

    Attributes:
        volume: itself, or on an even grid where slices of the planes want one.
        window: values that are black and white.
        people: digests of what names its patient.
        notes: what a person should know.
    """

    volume: Volume
    window: tuple[float, float]
    people: tuple[str, ...]
    notes: Sequence[str]

    def slices(self, plane: str = "axial") -> Slices:
        """Its slices in a plane."""
        return slices_of(self.volume, plane)


class _Shelf:
    """The volumes that were read last. Cases come in the order of their volumes, so few are enough, however many."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: OrderedDict[tuple, Any] = OrderedDict()

    def held(self, key: tuple, read: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._held:
                self._held[key] = read()
                while len(self._held) > _IN_MEMORY:
                    self._held.popitem(last=False)
            self._held.move_to_end(key)
            return self._held[key]

    def clear(self) -> None:
        """Lets go of all volumes."""
        with self._lock:
            self._held.clear()


_SHELF = _Shelf()


def kept(key: tuple, read: Callable[[], Any]) -> Any:
    """A volume with what belongs to it; the last few stay in memory.

    Args:
        key: what it is read from, and how.
        read: reads it; may not ask for another.
    """
    return _SHELF.held(key, read)


def release_volumes() -> None:
    """Lets go of the volumes that were read last: once slices are scanned or prepared, nobody needs them."""
    _SHELF.clear()


def volume_cases(
    files: Sequence[VolumeFile],
    place: Path,
    root: Path,
    *,
    label: str,
    domain: str,
    given_split: str,
    window: tuple[float, float] | None,
    slicing: Slicing = EVERY_AXIAL,
) -> tuple[list[Case], list[Finding]]:
    """A case for every slice; a volume that cannot be used is one case, whose loading says why.

    Args:
        files: of the folder.
        place: the folder.
        root: of the source.
        label: of the cases.
        domain: that the volumes are taken for; ``""`` for any.
        given_split: as the folder says.
        window: values that are black and white; ``None`` for an MRI's own, volume by volume.
        slicing: which slices they are.

    Returns:
        The cases, and what was seen while the volumes were read.
    """
    planes, slab = tuple(slicing.planes), slicing.slab
    cases: list[Case] = []
    said: dict[str, list[str]] = {}
    ranges: list[tuple[float, float]] = []
    people: dict[str, tuple[str, ...]] = {}
    where = place.relative_to(root)
    for file in progress(files, total=len(files), words=f"looking at the volumes, {label}"):
        name = (where / file.name).as_posix()

        def opened(file: VolumeFile = file) -> OpenedVolume:
            key = (*file.paths, domain, window, planes)
            return kept(key, lambda: open_volume(file, domain=domain, window=window, planes=planes))

        try:
            found = opened()
        except BadVolume as error:
            cases.append(Case(name, {label: name}, given_split, _refusing(str(error)), patient=name))
            continue
        people[name] = found.people or _folder_of(file, files)
        ranges.append(found.window)
        for note in found.notes:
            said.setdefault(note, []).append(name)
        case = partial(
            Case, given_split=given_split, patient=name, place=place / file.name, read_from=tuple(file.paths),
            volume=opened, slab=slab, around=_around(found.volume, slab),
        )  # fmt: skip
        geometry = geometry_of(found.volume)
        for plane in planes:
            slices = found.slices(plane)
            load = partial(_load, opened, label=label, kind=file.kind, plane=plane, slab=slab)
            reading = f"{plane} {found.window} {geometry}"
            case_of = partial(case, plane=plane, slab_mm=slices.step * slab.stride(slices))
            for number in range(0, len(slices), stride_of(slices, slicing.slice_mm)):
                own = f"{name}#{plane}-{number:03d}" if len(planes) > 1 else f"{name}#{number:03d}"
                files_of = {label: own}
                cases.append(case_of(own, files_of, load=partial(load, number), reading=f"slice {number} {reading}"))
    findings = [
        Finding("note", "volumes", f"{label}: {len(who)} volumes: {note}", len(who), tuple(who))
        for note, who in said.items()
    ]
    if len(set(ranges)) > 1:
        whites = [high for _, high in ranges]
        text = (
            f"{label}: each volume has its own black and white; white lies between {min(whites):g} and {max(whites):g}"
        )
        findings.append(Finding("note", "volumes", text, len(ranges)))
    if anonymous := _named_by_all(people):
        text = f"{label}: all volumes name one patient, an anonymous label it seems; say who is who in patients.csv"
        findings.append(Finding("warning", "patients", text, len(people)))
    who = joined_patients({name: set(words) - anonymous for name, words in people.items()})
    cases = [case.with_patient(who.get(case.patient, case.patient)) for case in cases]
    count = len(set(who.values()))
    words = f"{label}: {len(files)} volumes of {count} patients, {len(cases)} {', '.join(planes)} slices"
    return cases, [Finding("note", "volumes", words, len(files)), *findings]


def _load(opened: Callable[[], OpenedVolume], number: int, **how: Any) -> Loaded:
    return load_slice(opened(), number, **how)


def _around(volume: Volume, slab: Slab) -> str:
    """What decides beside a slice itself what is prepared of it: its neighbours, whichever they are."""
    if not slab.neighbours:
        return ""
    digest = hashlib.sha256(f"{volume.voxels.shape}".encode())
    for part in np.moveaxis(volume.voxels, -1, 0):  # one by one, for all at once would be a copy
        digest.update(np.ascontiguousarray(part).data)
    return f" {slab} of {digest.hexdigest()}"


def _folder_of(file: VolumeFile, files: Sequence[VolumeFile]) -> tuple[str, ...]:
    """Of files that name nobody: the folder, where there are several; else each is a patient of its own."""
    folders = {PurePosixPath(one.name).parent for one in files}
    mine = PurePosixPath(file.name).parent
    return (f"folder {mine}",) if len(folders) > 1 and mine.parts else ()


def _named_by_all(people: Mapping[str, Sequence[str]]) -> set[str]:
    """What several volumes have all in common names nobody: an anonymous label."""
    return set.intersection(*map(set, people.values())) if len(people) >= _FEW else set()


def joined_patients(people: Mapping[str, set[str]]) -> dict[str, str]:
    """The patient of each volume: those that share what names them are one.

    The patient's name is what names the first of them, so that a study which holds both domains is one patient in both;
    of a volume that nothing names, its own.

    Args:
        people: what names each volume's patient, by the volume's name.
    """
    names, words = list(people), sorted(set().union(*people.values()))
    links = [(names.index(name), len(names) + words.index(word)) for name in names for word in people[name]]
    groups = group_numbers(len(names) + len(words), np.array(links, int).reshape(-1, 2)).tolist()
    called: dict[int, str] = {}
    for name, group in zip(names, groups):
        called.setdefault(group, min(people[name], default=name))
    return {name: called[group] for name, group in zip(names, groups)}


def _refusing(reason: str):
    def load() -> Loaded:
        raise BadVolume(reason)

    return load


def open_volume(
    file: VolumeFile, *, domain: str, window: tuple[float, float] | None, planes: Sequence[str] = ("axial",)
) -> OpenedVolume:
    """Reads a volume as a training sees it.

    Args:
        file: of it.
        domain: that it is taken for; ``""`` for any.
        window: values that are black and white; ``None`` for the domain's usual, or the volume's own.
        planes: of its slices.

    Raises:
        BadVolume: it cannot be used.
    """
    read = file.read()
    volume, notes = read.volume, list(read.notes)
    even, uneven = on_planes(volume, planes)
    if uneven:
        notes.append(f"resampled to an even grid for {', '.join(uneven)} slices; translate.py refuses such volumes")
    found = training_window(even, slices_of(even, planes[0]), domain=domain, given=window)
    # By digests: who it is has no place in memory, messages or files of a run.
    found_tags = {tag: str(read.header.get(tag, "") or "").strip() for tag in _WHO}
    people = tuple(
        f"{tag} {hashlib.sha256(value.encode()).hexdigest()[:16]}" for tag, value in found_tags.items() if value
    )
    return OpenedVolume(even, found, people, notes)


def load_slice(
    opened: OpenedVolume, number: int, *, label: str, kind: str, plane: str = "axial", slab: Slab = ALONE
) -> Loaded:
    """A slice of a volume as a case in memory.

    Args:
        opened: the volume.
        number: of the slice.
        label: of the case.
        kind: of the file.
        plane: of the slice.
        slab: slices that it brings along.
    """
    slices, window = opened.slices(plane), opened.window
    alone: Picture = picture_of(slices, number, window)
    around = [alone if at == number else picture_of(slices, at, window) for at in slab.numbers(slices, number)]
    values = slices.values[number]
    height, width = alone.pixels.shape
    facts = FileFacts(kind, "F", VOLUME_BITS, height, width, int(np.floor(values.min())), int(np.ceil(values.max())))
    return Loaded({label: replace(alone, slab=around)}, {label: facts}, digests={label: slice_digest(values)})


def geometry_of(volume: Volume) -> str:
    """Where a volume's voxels lie, as a short hash: that decides, beside their values, how large a head is prepared and
    which slices are neighbours.
    """
    places = [] if volume.positions is None else np.asarray(volume.positions).tolist()
    return hashlib.sha256(f"{volume.affine.tolist()} {places}".encode()).hexdigest()[:16]


def slice_digest(values: np.ndarray) -> str:
    """The SHA-256 by which a manifest knows a slice of a volume, whatever file it is in.

    Args:
        values: ``(height, width)`` float32, as `common_tf.volumes.planes.slices_of` gives them.
    """
    return hashlib.sha256(f"{values.shape}".encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
