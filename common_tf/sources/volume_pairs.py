"""Aligned volumes of the same heads: a folder a patient, with one volume of each domain and perhaps a mask.

Which is which is told by what DICOM says, else by the file's name: ``CT.nii.gz``, ``mr.nii.gz``, ``p3_t1.nii``,
``mask.nii.gz``.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.sources.source import listed
from common_tf.volumes.files import VolumeFile, list_volumes
from common_tf.volumes.heads import CT_HEAD, NoHead, head_of
from common_tf.volumes.planes import slices_of
from common_tf.volumes.registration import Registered, register_rigid
from common_tf.volumes.resampling import resampled
from common_tf.volumes.volume import BadVolume, Volume, same_grid
from common_tf.volumes.windows import head_range, is_ct, may_be, refuse_other

_MASK = "mask"
MRI_WORDS = ("mri", "mr", "t1", "t1ce", "t1w", "t2", "t2w", "flair", "pd")
"""What names of files and folders call an MRI."""


@dataclass(frozen=True)
class LoadedPair:
    """Both sides on the grid of the source.

    Attributes:
        source: to be translated.
        truth: of the target.
        mask: ``(i, j, k)`` bool, the head.
        notes: what a person should know.
    """

    source: Volume
    truth: Volume
    mask: np.ndarray
    notes: Sequence[str]


@dataclass(frozen=True)
class VolumePair:
    """One patient.

    Attributes:
        patient: the folder's name.
        files: by domain.
        mask: of the head; ``None`` where it is to be found.
        registers: move the target onto the source first.
    """

    patient: str
    files: Mapping[str, VolumeFile]
    mask: VolumeFile | None = None
    registers: bool = False
    _motions: dict[tuple[str, str], Registered] = field(default_factory=dict, compare=False, repr=False)

    def load(self, source: str, target: str) -> LoadedPair:
        """Both sides; the target's is resampled onto the source's grid where theirs differ.

        Raises:
            BadVolume: a file that cannot be used, or sides of different spaces.
        """
        given, truth = (self._side(name) for name in (source, target))
        notes = []
        if self.registers:
            truth, words = self._registered(given, truth, source, target)
            notes.append(f"{target} was {words}")
        if not same_grid(given, truth):
            names = {volume.frame_of_reference for volume in (given, truth)} - {""}
            if len(names) > 1 and not self.registers:
                raise BadVolume(
                    f"{self.patient}: {source} and {target} lie in different frames of reference; register them first, "
                    "or add --register rigid"
                )
            truth = resampled(truth, given)
            notes.append(f"{target} was resampled onto the grid of {source}")
        return LoadedPair(given, truth, self._head(given, truth, source, target), notes)

    def _registered(self, given: Volume, truth: Volume, source: str, target: str) -> tuple[Volume, str]:
        """A report loads a pair several times, and registers it once."""
        key = source, target
        if key not in self._motions:
            try:
                found = register_rigid(truth, given)
            except BadVolume as error:
                raise BadVolume(f"{self.patient}: {target} {error}") from error
            self._motions[key] = replace(found, volume=replace(found.volume, voxels=found.volume.voxels[:0]))
        motion = self._motions[key]
        return replace(truth, affine=motion.volume.affine, positions=motion.volume.positions), motion.words

    def _side(self, name: str) -> Volume:
        volume = self.files[name].read().volume
        try:
            refuse_other(volume, domain=name)
        except BadVolume as error:
            raise BadVolume(f"{self.patient}: {name} {error}") from error
        return volume

    def _head(self, given: Volume, truth: Volume, source: str, target: str) -> np.ndarray:
        if self.mask is not None:
            mask = self.mask.read().volume
            if not same_grid(given, mask):
                mask = resampled(replace(mask, unit=""), given, order=0)
            if not (mask.voxels > 0).any():
                raise BadVolume(f"{self.patient}: no voxel of {source} is in the mask; do they lie in one space?")
            return mask.voxels > 0
        try:
            return head_of(truth, CT_HEAD if is_ct(target) else head_range(slices_of(truth)))
        except NoHead as error:
            raise BadVolume(f"{self.patient}: {error}") from error


def find_volume_pairs(root: Path, *, domains: Sequence[str], registers: bool = False) -> list[VolumePair]:
    """The patients of a folder; none where it holds no volume.

    Args:
        root: the folder.
        domains: names of A and B.
        registers: move each target onto its source first.

    Raises:
        UserError: no patient with both sides, or one with several volumes of a side.
    """
    patients: dict[str, dict[str, list[VolumeFile]]] = defaultdict(lambda: defaultdict(list))
    unknown = []
    for file in list_volumes(root).volumes if root.is_dir() else ():
        # A patient's folder holds files, or folders of series.
        patient = PurePosixPath(file.name).parent.as_posix()
        role = _role(file, domains)
        if role is None:
            unknown.append(file.name)
        else:
            patients[patient][role].append(file)
    if unknown:
        raise UserError(
            f"--pairs {root}: neither {domains[0]} nor {domains[1]} nor a mask by name: {listed(unknown, most=5)}; "
            f"a patient's folder holds {domains[0]}.nii.gz, {domains[1]}.nii.gz and perhaps mask.nii.gz"
        )
    for patient, roles in patients.items():
        for role, files in roles.items():
            if len(files) > 1:
                names = listed([file.name for file in files], most=5)
                raise UserError(f"--pairs {root}: {patient} has {len(files)} volumes of {role} ({names}); leave one")
    whole = {patient: roles for patient, roles in patients.items() if all(name in roles for name in domains)}
    if patients and not whole:
        raise UserError(f"--pairs {root}: no folder in it holds a volume of {domains[0]} and one of {domains[1]}")
    if half := sorted(set(patients) - set(whole)):
        print(f"--pairs {root}: left out, with one side only: {listed(half)}", flush=True)
    return [
        VolumePair(
            patient if patient != "." else root.name,
            {name: roles[name][0] for name in domains},
            roles[_MASK][0] if _MASK in roles else None,
            registers,
        )
        for patient, roles in sorted(whole.items())
    ]


def _role(file: VolumeFile, domains: Sequence[str]) -> str | None:
    if file.modality:
        found = [name for name in domains if may_be(file.modality, name)]
        return found[0] if len(found) == 1 else None
    words = re.split(r"[^a-z0-9]+", PurePosixPath(file.name).name.lower().removesuffix(".gz").removesuffix(".nii"))
    if _MASK in words:
        return _MASK
    for name in domains:
        if name.lower() in words:
            return name
    other = [name for name in domains if not is_ct(name)]
    return other[0] if len(other) == 1 and any(word in words for word in MRI_WORDS) else None
