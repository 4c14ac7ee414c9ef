"""Slices beside their ``NAME_mask`` files, one folder a patient; of pictures, or of volumes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.head import head_mask
from common_tf.pictures.masks import mask_notes, read_mask
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import BadPicture, FileFacts, read_file, read_planes
from common_tf.sources.folders import existing_folder
from common_tf.sources.listing import by_stem, list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.segmented_volumes import segmented_volumes
from common_tf.sources.source import Case, Loaded, Source, split_and_patient
from common_tf.splits.finding import Finding
from common_tf.volumes.files import list_volumes

MASK_SUFFIX = "_mask"
LABEL = "slice"
_MIDDLE = 1
_COLOUR = ("RGB", "RGBA")


def segmentation_source(root: Path, *, channels: int, window: tuple[float, float] | None = None) -> Source:
    """Lists slices that have a mask.

    Args:
        root: has a folder for each patient.
        channels: 1 takes the middle channel of a colour file (FLAIR, in TCGA LGG) or the gray values of another; 3
            gives the channels as the labels ``slice``, ``slice 2``, ``slice 3``.
        window: values of volumes that are black and white; ``None`` for each volume's own.

    Raises:
        UserError: no slice beside a mask, or two files of one name.
    """
    root = existing_folder(root)
    volumes = list_volumes(root)
    if volumes.volumes:
        return segmented_volumes(root, volumes, labels=channel_labels(channels), window=window)
    listing = list_pictures(root)
    files = by_stem(root, listing.paths)
    slices = {stem: path for stem, path in files.items() if not stem.endswith(MASK_SUFFIX)}
    cases, alone = [], []
    for stem, mask in files.items():
        if stem in slices:
            continue
        image = slices.get(stem.removesuffix(MASK_SUFFIX))
        if image is None:
            alone.append(mask.relative_to(root).as_posix())
            continue
        split, patient = split_and_patient(PurePosixPath(image.relative_to(root).as_posix()))
        if not patient:
            raise UserError(f"{image}: lies beside no patient's folder; one folder a patient is wanted in {root}")
        name = image.relative_to(root).as_posix()
        labels = channel_labels(channels)
        cases.append(
            Case(
                name=name,
                files=dict.fromkeys(labels, name),
                given_split=split,
                load=partial(_load, image, mask, labels),
                paths=dict.fromkeys(labels, image),
                extra=(mask,),
                reading=f"{channels} channels",
                patient=patient,
            )
        )
    if not cases:
        raise UserError(f"{root}: no slices with a *{MASK_SUFFIX}.tif (or .png) beside them, one folder a patient")
    findings = others_finding([listing], root.name)
    unmasked = [path.relative_to(root).as_posix() for stem, path in slices.items() if stem + MASK_SUFFIX not in files]
    findings += _unpaired(unmasked, "slices have no mask")
    findings += _unpaired(alone, "masks have no slice")
    cases, who = with_patients(root, cases)
    return Source("segmentation", root, cases, [*findings, *who])


def _unpaired(names: Sequence[str], what: str) -> list[Finding]:
    if not names:
        return []
    return [Finding("warning", "no partner", f"{len(names)} {what} and are left out", len(names), tuple(names))]


def _load(image: Path, mask: Path, labels: Sequence[str]) -> Loaded:
    try:
        truth = read_mask(read_file(mask, may_be_constant=True)[0].pixels)
    except BadPicture as error:
        raise BadPicture(f"its mask {mask.name}: {error}") from error
    pictures, facts = channel_pictures(image, labels)
    shape = pictures[LABEL].pixels.shape
    if shape != truth.inside.shape:
        sizes = [f"{width}x{height}" for height, width in (shape, truth.inside.shape)]
        raise BadPicture(f"{sizes[0]} pixels, its mask is {sizes[1]}; mend or remove both")
    return Loaded(pictures, dict.fromkeys(labels, facts), lesion=truth.inside, notes=mask_notes(truth))


def channel_labels(channels: int) -> list[str]:
    """The labels of a slice's channels."""
    return [LABEL] if channels == 1 else [LABEL, f"{LABEL} 2", f"{LABEL} 3"]


def channel_pictures(image: Path, labels: Sequence[str]) -> tuple[dict[str, Picture], FileFacts]:
    """The channels of a colour file, which are images of their own; a gray file is all of them.

    Args:
        image: the file.
        labels: from `channel_labels`; a single one takes the middle channel of a colour file.

    Returns:
        Pictures by label, of which several share one head, and what the file says of itself.

    Raises:
        BadPicture: it cannot be used.
    """
    gray, facts = read_file(image, may_be_constant=True)
    if facts.mode not in _COLOUR or facts.bits > 8:
        return dict.fromkeys(labels, gray), facts
    planes = [np.ascontiguousarray(plane) for plane in np.moveaxis(read_planes(image.read_bytes()), -1, 0)]
    middle = Picture(planes[_MIDDLE])
    if len(labels) == 1:
        return {LABEL: middle}, facts
    head = head_mask(middle.scaled())  # one for all, and so one frame: they show the same slice
    return {label: Picture(plane, head=head) for label, plane in zip(labels, planes)}, facts
