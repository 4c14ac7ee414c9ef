"""The section on finished CT volumes: each against the real one of the same name, in Hounsfield units."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.head import head_mask
from common_tf.progress import progress
from common_tf.sources.source import listed
from common_tf.volumes.files import DICOM, VolumeFile, nifti_stem
from common_tf.volumes.planes import slices_of, voxels_of
from common_tf.volumes.resampling import indices_of, resampled
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume, same_grid
from common_tf.volumes.windows import AIR_BELOW
from evaluation_tf.hounsfield import (
    ErrorDensity,
    hounsfield_card,
    hounsfield_table,
    hounsfield_values,
    patient_table,
    planes_figure,
)
from evaluation_tf.parts import Section

_HEAD_WINDOW = -500.0, 500.0
_LEAST_COVERED, _ASKED = 0.5, 20_000
_ROWS = {
    "fake": ("fake", "result"),
    "mean": ("floor: mean HU of the other patients", "floor"),
}


def volume_section(real: Sequence[VolumeFile], fake: Sequence[VolumeFile], *, figures: Path) -> Section:
    """Errors in HU, patient by patient, beside the mean of the other patients.

    Args:
        real, fake: volumes; partners have one name, whatever their formats.
        figures: folder of the report's.

    Raises:
        UserError: partners that are missing, volumes that cannot be used or are no CT in HU.
    """
    pairs = _partners(real, fake)
    section = Section(
        key="volumes",
        title="Are they right, in Hounsfield units?",
        intro=f"The fake volumes of {len(pairs)} patients against the real ones of the same name, inside the head, as "
        "the SynthRAD challenges measure it.",
    )
    if len(pairs) < 5:
        section.warnings.append(f"{len(pairs)} patients: intervals over so few say little of others")
    values: dict[str, list[Mapping[str, float]]] = {"fake": []}
    sums = np.array([_sum_and_count(*_truth(files[0])) for files in pairs.values()])
    density = ErrorDensity()
    # One patient at a time is in memory.
    for number, (name, files) in enumerate(progress(pairs.items(), total=len(pairs), words="comparing volumes")):
        truth, mask = _truth(files[0])
        made, notes = _made(files[1], truth, mask)
        density.add(truth.voxels[mask], made.voxels[mask])
        values["fake"].append(hounsfield_values(truth.voxels, made.voxels, mask))
        if len(pairs) > 1:
            others = sums.sum(axis=0) - sums[number]
            mean = np.full(truth.shape, others[0] / others[1], np.float32)
            values.setdefault("mean", []).append(hounsfield_values(truth.voxels, mean, mask))
        if np.array_equal(truth.voxels, made.voxels):
            notes.append("the fake volume equals the real one in every voxel")
        section.warnings += [f"{name}: {note}" for note in notes]
    section.tables += [
        hounsfield_table("Fake against real, in the head", _ROWS, values),
        patient_table(list(pairs), values["fake"]),
    ]
    names, order = list(pairs), np.argsort([one["mae"] for one in values["fake"]])
    for word, index in {"median": order[len(order) // 2], "worst": order[-1]}.items():
        files = pairs[names[index]]
        truth, mask = _truth(files[0])
        section.figures.append(
            planes_figure(
                figures / f"volume_{word}.png",
                f"The {word} patient by MAE ({names[index]})",
                beside={},
                truth=truth,
                made=_made(files[1], truth, mask)[0],
                mask=mask,
            )
        )
    section.figures.append(density.figure(figures / "bland_altman.png", len(pairs)))
    section.card = hounsfield_card(section.tables[0], len(pairs), title="Are they right? MAE in the head")
    return section


def _partners(real: Sequence[VolumeFile], fake: Sequence[VolumeFile]) -> dict[str, tuple[VolumeFile, VolumeFile]]:
    """By name without ending; where each patient has a folder with one volume on either side, by the folder."""
    for key in (_stem, _folder):
        sides = [{key(one): one for one in side} for side in (real, fake)]
        if all(len(found) == len(side) for found, side in zip(sides, (real, fake))) and set(sides[0]) == set(sides[1]):
            return {name: (sides[0][name], sides[1][name]) for name in sorted(sides[0])}
    names = [{_stem(one) for one in side} for side in (real, fake)]
    alone = sorted(names[0] ^ names[1]) or sorted(names[0])
    raise UserError(f"--real, --fake: {len(alone)} volumes have no single partner of the same name ({listed(alone)})")


def _stem(file: VolumeFile) -> str:
    return nifti_stem(file.name)[0]


def _folder(file: VolumeFile) -> str:
    """The folder of a patient: that of a file, or the one that a series fills; what lies in none has its own name."""
    parent = PurePosixPath(file.name).parent
    return file.name if file.kind == DICOM or not parent.parts else parent.as_posix()


def _read(file: VolumeFile, flag: str) -> tuple[Volume, list[str]]:
    try:
        found = file.read()
    except BadVolume as error:
        raise UserError(f"{flag}: {error}; mend or remove it") from error
    volume = found.volume
    if not float(volume.voxels.min()) < AIR_BELOW:
        raise UserError(
            f"{flag}: {file.name}: no value below {AIR_BELOW:g}, so it is no CT in HU; MRI has no unit in which "
            "volumes could be compared: give their slices as pictures"
        )
    return replace(volume, unit=HOUNSFIELD), list(found.notes)


def _truth(file: VolumeFile) -> tuple[Volume, np.ndarray]:
    """The real volume and its head."""
    volume, _ = _read(file, "--real")
    low, high = _HEAD_WINDOW
    found = [head_mask(np.clip((one - low) / (high - low), 0, 1)) for one in slices_of(volume).values]
    mask = voxels_of(np.stack(found), volume)
    if not mask.any():
        raise UserError(f"--real: {file.name}: shows no head")
    return volume, mask


def _made(file: VolumeFile, truth: Volume, mask: np.ndarray) -> tuple[Volume, list[str]]:
    """The fake volume on the grid of the real one, and what a person should know."""
    made, notes = _read(file, "--fake")
    if same_grid(made, truth):
        return made, notes
    frames = {made.frame_of_reference, truth.frame_of_reference} - {""}
    if len(frames) > 1:
        raise UserError(f"--fake: {file.name}: lies in another frame of reference than the real one; register it first")
    share = _covered(made, truth, mask)
    if share < _LEAST_COVERED:
        raise UserError(
            f"--fake: {file.name}: covers {share:.0%} of the real one's head; are their positions in one space?"
        )
    if share < 1:
        notes.append(f"the fake volume covers {share:.1%} of the real one's head; the rest counts as air")
    return resampled(made, truth), [*notes, "the fake volume was resampled onto the real one's grid"]


def _covered(made: Volume, truth: Volume, mask: np.ndarray) -> float:
    """Which share of the real head's voxels lie within another volume."""
    head = np.argwhere(mask)
    some = head[:: max(1, len(head) // _ASKED)]
    places = indices_of(made, truth.world(some))
    return float(((places > -1) & (places < np.array(made.shape))).all(axis=-1).mean())


def _sum_and_count(volume: Volume, mask: np.ndarray) -> tuple[float, float]:
    inside = volume.voxels[mask].astype(np.float64)
    return float(inside.sum()), float(inside.size)
