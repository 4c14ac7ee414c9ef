"""The section on finished CT volumes: each against the real one of the same name, in Hounsfield units."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common_tf.progress import progress
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.heads import CT_HEAD
from common_tf.volumes.volume import HOUNSFIELD, Volume
from evaluation_tf.finished.sides import FAKE, REAL
from evaluation_tf.finished.volume_sides import on_real_grid, read_volume, real_head
from evaluation_tf.hounsfield import (
    ErrorDensity,
    hounsfield_card,
    hounsfield_table,
    hounsfield_values,
    patient_table,
    planes_figure,
)
from evaluation_tf.parts import Section

_ROWS = {
    "fake": ("fake", "result"),
    "mean": ("floor: mean HU of the other patients", "floor"),
}


def hounsfield_section(
    pairs: Mapping[str, tuple[VolumeFile, VolumeFile]], patients: Sequence[str], *, figures: Path
) -> Section:
    """Errors in HU, patient by patient, beside the mean of the other patients.

    Args:
        pairs: real CT and fake CT in HU, by name.
        patients: of each pair.
        figures: folder of the report's.

    Raises:
        UserError: a real volume without a head, partners in two spaces.
    """
    who = np.unique(patients, return_inverse=True)[1]
    count = int(who.max()) + 1
    section = Section(
        key="volumes",
        title="Are they right, in Hounsfield units?",
        intro=f"{len(pairs)} fake volumes of {count} patients against the real ones of the same name, inside the "
        "head, as the SynthRAD challenges measure it; no window counts here.",
    )
    values: dict[str, list[Mapping[str, float]]] = {"fake": []}
    sums = np.array([_sum_and_count(*_truth(files[0])) for files in pairs.values()])
    density = ErrorDensity()
    # One patient at a time is in memory.
    for number, (name, files) in enumerate(progress(pairs.items(), total=len(pairs), words="comparing volumes")):
        truth, mask = _truth(files[0])
        made, notes = _made(files[1], truth, mask)
        density.add(truth.voxels[mask], made.voxels[mask])
        values["fake"].append(hounsfield_values(truth.voxels, made.voxels, mask))
        if count > 1:
            others = sums[who != who[number]].sum(axis=0)
            mean = np.full(truth.shape, others[0] / others[1], np.float32)
            values.setdefault("mean", []).append(hounsfield_values(truth.voxels, mean, mask))
        if np.array_equal(truth.voxels, made.voxels):
            notes.append("the fake volume equals the real one in every voxel")
        section.warnings += [f"{name}: {note}" for note in notes]
    section.tables += [
        hounsfield_table("Fake against real, in the head", _ROWS, values, patients=who),
        patient_table(list(pairs), values["fake"]),
    ]
    names, order = list(pairs), np.argsort([one["mae"] for one in values["fake"]])
    for word, index in {"median": order[len(order) // 2], "worst": order[-1]}.items():
        files = pairs[names[index]]
        truth, mask = _truth(files[0])
        section.figures.append(
            planes_figure(
                figures / f"volume_{word}.png",
                f"The {word} volume by MAE ({names[index]})",
                beside={},
                truth=truth,
                made=_made(files[1], truth, mask)[0],
                mask=mask,
            )
        )
    section.figures.append(density.figure(figures / "bland_altman.png", count))
    section.card = hounsfield_card(section.tables[0], count, title="Are they right? MAE in the head")
    return section


def _truth(file: VolumeFile) -> tuple[Volume, np.ndarray]:
    """The real volume and its head."""
    volume = _in_hounsfield(file, REAL)
    return volume, real_head(volume, CT_HEAD, name=file.name)


def _made(file: VolumeFile, truth: Volume, mask: np.ndarray) -> tuple[Volume, list[str]]:
    """The fake volume on the grid of the real one, and what a person should know."""
    return on_real_grid(_in_hounsfield(file, FAKE), truth, mask, name=file.name)


def _in_hounsfield(file: VolumeFile, label: str) -> Volume:
    """Of sides that are CT, as their air has said; a NIfTI file names no unit."""
    return replace(read_volume(file, label), unit=HOUNSFIELD)


def _sum_and_count(volume: Volume, mask: np.ndarray) -> tuple[float, float]:
    inside = volume.voxels[mask].astype(np.float64)
    return float(inside.sum()), float(inside.size)
