"""Volumes beside the labels of their lesions, one folder a patient: slices to segment.

    P01/scan.nii.gz             P01/scan_mask.nii.gz                                    of any kind
    P01/P01_flair.nii.gz ...    P01/P01_seg.nii.gz        _flair, _t1ce, _t2            BraTS to 2021
    P01/P01-t2f.nii.gz ...      P01/P01-seg.nii.gz        -t2f, -t1c, -t2w              BraTS from 2023

One channel takes the volume itself, or FLAIR; three take FLAIR, T1 with contrast, and T2.
"""

import hashlib
from collections.abc import Callable, Sequence
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
from common_tf.sources.source import Case, Loaded, Source, listed
from common_tf.sources.volumes import OpenedVolume, kept, load_slice, open_volume
from common_tf.splits.finding import Finding
from common_tf.volumes.files import NIFTI, VolumeFile, VolumeListing, nifti_stem
from common_tf.volumes.nifti import read_nifti
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import BadVolume, same_grid

LABEL_ENDINGS = {
    "_mask": (("",),),
    "_seg": (("_flair", "_t1ce", "_t2"), ("",)),
    "-seg": (("-t2f", "-t1c", "-t2w"), ("",)),
}
"""Endings of labels, and those of the volumes that they belong to: the first that is there counts."""

_MOST_LABELS = 256


def segmented_volumes(
    root: Path, listing: VolumeListing, *, labels: Sequence[str], window: tuple[float, float] | None
) -> Source:
    """Lists the slices of volumes that have labels.

    Args:
        root: has a folder for each patient.
        listing: what it holds.
        labels: one of each channel.
        window: values that are black and white; ``None`` for each volume's own.

    Raises:
        UserError: no volume beside labels, or pictures beside volumes.
    """
    if listing.pictures:
        raise UserError(f"{root}: holds {listing.pictures} picture files beside volumes; give one kind")
    files = {nifti_stem(file.name)[0]: file for file in listing.volumes}
    used: set[str] = set()
    cases: list[Case] = []
    alone: list[str] = []
    patients = 0
    for stem, mask in progress(sorted(files.items()), total=len(files), words="looking at the volumes"):
        ending = next((one for one in LABEL_ENDINGS if stem.lower().endswith(one)), "")
        if not ending:
            continue
        channels = _channels(files, stem[: -len(ending)], ending, len(labels))
        used |= {stem, *(nifti_stem(file.name)[0] for file in channels)}
        if not channels:
            alone.append(mask.name)
            continue
        if len(PurePosixPath(mask.name).parts) < 2:
            raise UserError(f"{root / mask.name}: lies beside no patient's folder; one folder a patient is wanted")
        patients += 1
        cases += _cases(channels, mask, labels, window)
    if not cases:
        endings = " or ".join(f"*{ending}.nii.gz" for ending in LABEL_ENDINGS)
        raise UserError(f"{root}: no volumes with {endings} beside them, one folder a patient")
    findings = [Finding("note", "volumes", f"{patients} volumes with labels, {len(cases)} axial slices", patients)]
    findings += others_finding([Listing((), listing.others)], root.name)
    findings += [Finding("note", "volumes", note, 0) for note in listing.notes]
    for names, what in ((alone, "labels have no volume"), (sorted(set(files) - used), "volumes are not read")):
        if names:
            text = f"{len(names)} {what} ({listed(names, most=3)})"
            findings.append(Finding("warning", "no partner", text, len(names), tuple(names)))
    cases, who = with_patients(root, cases)
    return Source("segmentation", root, cases, [*findings, *who])


def _channels(files: dict[str, VolumeFile], stem: str, ending: str, count: int) -> list[VolumeFile]:
    for endings in LABEL_ENDINGS[ending]:
        wanted = [stem + one for one in endings[:count]]
        if all(name in files for name in wanted):
            return [files[name] for name in wanted]
    return []


@dataclass(frozen=True)
class _Patient:
    """A volume's channels in memory with its labels, ``(n, height, width)`` bool, and what their values are."""

    channels: Sequence[OpenedVolume]
    inside: np.ndarray
    notes: tuple[str, ...]


def _cases(channels: Sequence[VolumeFile], mask: VolumeFile, labels: Sequence[str], window) -> list[Case]:
    """A case for every slice; volumes that cannot be used are one case, whose loading says why."""
    first = channels[0].name
    patient = PurePosixPath(first).parts[0]

    def opened() -> _Patient:
        files = (*(path for file in channels for path in file.paths), *mask.paths)
        return kept(("segmented", *files, window), lambda: _open(channels, mask, labels[0], window))

    try:
        count = len(opened().inside)
    except BadVolume as error:
        reason = str(error)

        def refuse() -> Loaded:
            raise BadVolume(reason)

        return [Case(first, dict.fromkeys(labels, first), "", refuse, patient=patient)]
    return [
        Case(
            name=f"{first}#{number:03d}",
            files=dict.fromkeys(labels, f"{first}#{number:03d}"),
            given_split="",
            load=partial(_load, opened, labels, number, channels[0].kind),
            reading=f"slice {number} axial, {len(labels)} channels, {window}",
            patient=patient,
        )
        for number in range(count)
    ]


def _load(opened: Callable[[], _Patient], labels: Sequence[str], number: int, kind: str) -> Loaded:
    patient = opened()
    inside = patient.inside[number]
    repeated = dict(zip(labels, cycle(patient.channels)))
    loaded = {label: load_slice(one, number, label=label, kind=kind) for label, one in repeated.items()}
    pictures = {label: one.pictures[label] for label, one in loaded.items()}
    first = pictures[labels[0]]
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
        notes=patient.notes,
        digests={label: hashlib.sha256(text.encode()).hexdigest() for label, text in digests.items()},
    )


def _open(channels: Sequence[VolumeFile], mask: VolumeFile, domain: str, window) -> _Patient:
    opened = [open_volume(file, domain=domain, window=window) for file in channels]
    if mask.kind != NIFTI:
        raise BadVolume(f"{mask.name}: labels are wanted as NIfTI")
    try:
        values, _ = read_nifti(mask.paths[0], may_be_constant=True)
    except BadVolume as error:
        raise BadVolume(f"{mask.name}: {error}") from error
    for file, volume in ((mask, values), *zip(channels[1:], (one.volume for one in opened[1:]))):
        if not same_grid(opened[0].volume, volume):
            raise BadVolume(f"{file.name}: lies on another grid than {channels[0].name}; resample one onto the other")
    labels = np.unique(values.voxels)
    if not np.array_equal(labels, np.round(labels)) or labels[0] < 0 or len(labels) > _MOST_LABELS:
        raise BadVolume(f"{mask.name}: holds other values than labels (whole numbers from 0, at most {_MOST_LABELS})")
    inside = slices_of(values).values > 0
    return _Patient(opened, inside, mask_notes(MaskValues(inside, tuple(int(one) for one in labels if one))))
