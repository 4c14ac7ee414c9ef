"""Volumes beside the labels of their lesions, one folder a patient: slices to segment.

    P01/scan.nii.gz             P01/scan_mask.nii.gz                                    of any kind
    P01/P01_flair.nii.gz ...    P01/P01_seg.nii.gz        _t1ce, _flair, _t2            BraTS to 2021
    P01/P01-t2f.nii.gz ...      P01/P01-seg.nii.gz        -t1c, -t2f, -t2w              BraTS from 2023

One channel takes the volume itself, or FLAIR; three take T1 with contrast, FLAIR and T2.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.geometry import resize
from common_tf.pictures.head import head_mask
from common_tf.pictures.masks import MaskValues, mask_notes
from common_tf.progress import progress
from common_tf.sources.listing import Listing, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Loaded, Source, listed, split_and_patient
from common_tf.sources.volumes import OpenedVolume, geometry_of, kept, load_slice, open_volume
from common_tf.splits.finding import Finding
from common_tf.volumes.files import NIFTI, VolumeFile, VolumeListing, nifti_stem
from common_tf.volumes.nifti import read_nifti
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import BadVolume, same_grid
from common_tf.volumes.windows import is_ct

LABEL_ENDINGS = {
    "_mask": (("",),),
    "_seg": (("_t1ce", "_flair", "_t2"), ("",)),
    "-seg": (("-t1c", "-t2f", "-t2w"), ("",)),
}
"""Endings of labels, and those of the volumes that they belong to: the first that are there count. The middle one is
that which a single channel takes, as of colour pictures."""

SEQUENCES = (("_t1", "_t1ce", "_flair", "_t2"), ("-t1n", "-t1c", "-t2f", "-t2w"))
"""Endings of all sequences of one head, as BraTS names them."""

_MOST_LABELS = 256
_TIME_POINT = re.compile(r"^(?P<who>BraTS-[A-Za-z]+-\d+)-\d{3}$")


def segmented_volumes(
    root: Path, listing: VolumeListing, *, labels: Sequence[str], window: tuple[float, float] | None
) -> Source:
    """Lists the slices of volumes that have labels.

    Args:
        root: has a folder for each patient, perhaps under ``train/`` and ``test/``; those of one patient's time points,
            as BraTS names them, are one patient.
        listing: what it holds.
        labels: one of each channel.
        window: values that are black and white; ``None`` for each volume's own.

    Raises:
        UserError: no volume beside labels, pictures beside volumes, or one volume with two labels.
    """
    listing.refuse_pictures(str(root))
    files = by_name(listing.volumes)
    owners: dict[str, str] = {}
    cases: list[Case] = []
    alone: list[str] = []
    said: dict[str, list[str]] = {}
    scans = 0
    for stem, mask in progress(sorted(files.items()), total=len(files), words="looking at the volumes"):
        ending = label_ending(stem)
        if not ending:
            continue
        owners[stem] = mask.name
        channels = channels_of(files, stem[: -len(ending)], LABEL_ENDINGS[ending], len(labels))
        if not channels:
            alone.append(mask.name)
            continue
        for file in channels:
            other = owners.setdefault(nifti_stem(file.name)[0], mask.name)
            if other != mask.name:
                raise UserError(f"{root / file.name}: has two labels, {other} and {mask.name}; leave one of them")
        if not split_and_patient(PurePosixPath(mask.name))[1]:
            raise UserError(f"{root / mask.name}: lies beside no patient's folder; one folder a patient is wanted")
        scans += 1
        found, notes = _cases(root, channels, mask, labels, window)
        cases += found
        for note in notes:
            said.setdefault(note, []).append(mask.name)
    if not cases:
        endings = " or ".join(f"*{ending}.nii.gz" for ending in LABEL_ENDINGS)
        raise UserError(f"{root}: no volumes with {endings} beside them, one folder a patient")
    findings = [Finding("note", "volumes", f"{scans} volumes with labels, {len(cases)} axial slices", scans)]
    findings += others_finding([Listing((), listing.others)], root.name)
    findings += [Finding("note", "volumes", note, 0) for note in listing.notes]
    findings += [
        Finding("note", "volumes", f"{len(who)} volumes: {note}", len(who), tuple(who)) for note, who in said.items()
    ]
    for names, what in ((alone, "labels have no volume"), (sorted(set(files) - set(owners)), "volumes are not read")):
        if names:
            text = f"{len(names)} {what} ({listed(names, most=3)})"
            findings.append(Finding("warning", "no partner", text, len(names), tuple(names)))
    cases, who = with_patients(root, cases)
    return Source("segmentation", root, cases, [*findings, *who])


def by_name(volumes: Sequence[VolumeFile]) -> dict[str, VolumeFile]:
    """Volumes by their names without endings.

    Raises:
        UserError: two that differ in nothing else, of which one would be lost.
    """
    files: dict[str, VolumeFile] = {}
    for file in volumes:
        other = files.setdefault(nifti_stem(file.name)[0], file)
        if other is not file:
            raise UserError(f"{other.name} and {file.name} differ in nothing but their endings; leave one of them")
    return files


def label_ending(stem: str) -> str:
    """Of `LABEL_ENDINGS`, that of a name; ``""`` for none."""
    return next((ending for ending in LABEL_ENDINGS if stem.lower().endswith(ending)), "")


def channels_of(
    files: Mapping[str, VolumeFile], stem: str, choices: Sequence[Sequence[str]], count: int
) -> list[VolumeFile]:
    """The volumes that are the channels of one scan; a single one where there is no other; empty for none.

    Args:
        files: from `by_name`.
        stem: of the scan.
        choices: endings of its volumes.
        count: of channels that are wanted.
    """
    for endings in choices:
        wanted = [stem + one for one in (endings if count > 1 else endings[len(endings) // 2 :][:1])]
        if all(name in files for name in wanted):
            return [files[name] for name in wanted]
    return []


@dataclass(frozen=True)
class _Scan:
    """A volume's channels in memory with its labels, ``(n, height, width)`` bool, what their values are, and notes."""

    channels: Sequence[OpenedVolume]
    inside: np.ndarray
    notes: tuple[str, ...]
    said: tuple[str, ...]


def _cases(
    root: Path, channels: Sequence[VolumeFile], mask: VolumeFile, labels: Sequence[str], window
) -> tuple[list[Case], Sequence[str]]:
    """A case for every slice, and what was seen; volumes that cannot be used are one case, whose loading says why."""
    first = channels[len(channels) // 2].name
    split, patient = split_and_patient(PurePosixPath(first))
    time_point = _TIME_POINT.match(patient)
    files = (*(path for file in channels for path in file.paths), *mask.paths)
    whole = partial(
        Case, given_split=split, patient=time_point["who"] if time_point else patient, place=root / first
    )  # fmt: skip

    def opened() -> _Scan:
        return kept(("segmented", *files, window), lambda: _open(channels, mask, labels[0], window))

    try:
        found = opened()
    except BadVolume as error:
        reason = str(error)

        def refuse() -> Loaded:
            raise BadVolume(reason)

        return [whole(name=first, files=dict.fromkeys(labels, first), load=refuse)], ()
    windows, geometry = [one.window for one in found.channels], geometry_of(found.channels[0].volume)
    cases = [
        whole(
            name=f"{first}#{number:03d}",
            files=dict.fromkeys(labels, f"{first}#{number:03d}"),
            load=partial(_load, opened, labels, number, channels[0].kind),
            reading=f"slice {number} axial, {len(labels)} channels, {windows}, {geometry}",
            read_from=files,
        )
        for number in range(len(found.inside))
    ]
    return cases, found.said


def _load(opened: Callable[[], _Scan], labels: Sequence[str], number: int, kind: str) -> Loaded:
    scan = opened()
    inside = scan.inside[number]
    repeated = dict(zip(labels, cycle(scan.channels)))
    loaded = {label: load_slice(one, number, label=label, kind=kind) for label, one in repeated.items()}
    pictures = {label: one.pictures[label] for label, one in loaded.items()}
    first = pictures[labels[len(labels) // 2]]
    if len(labels) > 1:
        head = head_mask(first.scaled())  # one for all, and so one frame: they show the same slice
        pictures = {label: replace(picture, head=head) for label, picture in pictures.items()}
    # A changed mask is a changed case.
    known = hashlib.sha256(np.packbits(inside).tobytes()).hexdigest()
    digests = {label: one.digests[label] + known for label, one in loaded.items()}
    return Loaded(
        pictures,
        {label: one.facts[label] for label, one in loaded.items()},
        lesion=resize(inside.astype(np.float32), *first.pixels.shape) > 0.5,  # pixels as high as wide, as the picture
        notes=scan.notes,
        digests={label: hashlib.sha256(text.encode()).hexdigest() for label, text in digests.items()},
    )


def _open(channels: Sequence[VolumeFile], mask: VolumeFile, domain: str, window) -> _Scan:
    if window is None and any(is_ct(file.modality) for file in channels):
        raise BadVolume(f"is CT; say which HU are black and white: --window {domain}=BLACK:WHITE")
    opened = [open_volume(file, domain=file.modality or domain, window=window) for file in channels]
    if mask.kind != NIFTI:
        raise BadVolume(f"{mask.name}: labels are wanted as NIfTI")
    try:
        values, notes = read_nifti(mask.paths[0], may_be_constant=True)
    except BadVolume as error:
        raise BadVolume(f"{mask.name}: {error}") from error
    for file, volume in ((mask, values), *zip(channels[1:], (one.volume for one in opened[1:]))):
        if not same_grid(opened[0].volume, volume):
            raise BadVolume(f"{file.name}: lies on another grid than {channels[0].name}; resample one onto the other")
    labels = np.unique(values.voxels)
    if not np.array_equal(labels, np.round(labels)) or labels[0] < 0 or len(labels) > _MOST_LABELS:
        raise BadVolume(f"{mask.name}: holds no labels (whole numbers from 0 on, at most {_MOST_LABELS} of them)")
    inside = slices_of(values).values > 0
    named = mask_notes(MaskValues(inside, tuple(int(one) for one in labels if one)))
    said = dict.fromkeys(note for one in (*(one.notes for one in opened), notes) for note in one)
    return _Scan(opened, inside, named, tuple(said))
