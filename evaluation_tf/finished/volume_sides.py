"""The two sides as volumes: what their values mean, which are partners, and their slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.progress import progress
from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Source, listed
from common_tf.sources.volumes import volume_cases
from common_tf.splits.finding import Finding
from common_tf.volumes.files import DICOM, VolumeFile, VolumeListing, nifti_stem
from common_tf.volumes.heads import NoHead, head_of
from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import indices_of, resampled
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume, same_grid
from common_tf.volumes.windows import AIR_BELOW, CT_WINDOW
from evaluation_tf.finished.sides import FAKE, REAL, folder_above, of_side

_LEAST_COVERED, _ASKED = 0.5, 20_000
_MOST_SLICES, _FEWEST = 3000, 8
_ALIKE_FIELDS = 1.1


@dataclass(frozen=True)
class VolumeSides:
    """Volumes of both sides that have been looked at.

    Attributes:
        folders: by side.
        files: by side.
        pairs: a real volume and its partner, by the name that they share; empty where none are asked for.
        in_hounsfield: all of them are CT in HU, as air says.
        windows: black and white of slices by side; none where each volume has its own.
        findings: what is to be said of them.
    """

    folders: Mapping[str, Path]
    files: Mapping[str, Sequence[VolumeFile]]
    pairs: Mapping[str, tuple[VolumeFile, VolumeFile]]
    in_hounsfield: bool
    windows: Mapping[str, tuple[float, float]]
    findings: Sequence[Finding] = field(default=())

    def source(self) -> Source:
        """Axial slices of both sides as cases; partners are of one patient, and so are volumes of one name.

        Raises:
            UserError: a patients.csv that cannot be used.
        """
        cases: list[Case] = []
        findings = [*self.findings]
        for label, files in self.files.items():
            mine, said = volume_cases(
                files,
                self.folders[label],
                self.folders[label],
                label=label,
                domain="",
                given_split="test",
                window=self.windows.get(label),
                plane="axial",
            )
            mine, who = with_patients(self.folders[label], mine, above=folder_above(self.folders))
            most = self.most_slices
            mine = [one for cases_of in _by_volume(mine) for one in chosen_slices(cases_of, most)]
            cases += [of_side(_by_stem(case), label) for case in mine]
            findings += [*said, *who]
        patients = {_volume_of(case): case.patient for case in cases}
        partners = {f"{FAKE}/{fake.name}": patients[f"{REAL}/{real.name}"] for real, fake in self.pairs.values()}
        cases = [case.with_patient(partners.get(_volume_of(case), case.patient)) for case in cases]
        return Source("folders", self.folders[REAL], cases, findings)

    @property
    def most_slices(self) -> int:
        """How many slices of each volume are compared: of many volumes fewer of each, spread evenly."""
        return max(_FEWEST, _MOST_SLICES // max(len(files) for files in self.files.values()))


def open_volume_sides(
    folders: Mapping[str, Path],
    listings: Mapping[str, VolumeListing],
    windows: Mapping[str, tuple[float, float]],
    *,
    paired: bool,
) -> VolumeSides:
    """Looks at every volume once.

    Args:
        folders: by side.
        listings: what they hold, by side.
        windows: black and white that the user gave, by side.
        paired: volumes of one name are of one patient.

    Raises:
        UserError: volumes that cannot be used, partners that are missing, sides whose values mean different things.
    """
    if windows and len(windows) < 2:
        alone = next(label for label in folders if label not in windows)
        raise UserError(f"--window: names one side; name black and white of --{alone} too")
    files = {label: listing.volumes for label, listing in listings.items()}
    pairs = _partners(files[REAL], files[FAKE]) if paired else {}
    are_ct: dict[str, list[bool]] = {label: [] for label in files}
    fields: dict[str, list[float]] = {label: [] for label in files}
    most = 0
    for label, mine in files.items():
        for file in progress(mine, total=len(mine), words=f"reading the {label} volumes"):
            volume = read_volume(file, label)
            slices = slices_of(volume)
            are_ct[label].append(_is_ct(volume))
            fields[label].append(max(np.array(slices.values.shape[1:]) * slices.spacing))
            most = max(most, len(slices))
    every = [one for found in are_ct.values() for one in found]
    if any(every) and not all(every) and len(windows) < 2:
        label, file = next(
            (label, file) for label, mine in files.items() for file, is_ct in zip(mine, are_ct[label]) if not is_ct
        )
        raise UserError(
            f"--{label}: {file.name}: no value below {AIR_BELOW:g}, so it is no CT in HU as others are; name the "
            "values that are black and white on either side: --window real=LO:HI,fake=LO:HI"
        )
    in_hounsfield = all(every)
    both = windows or (dict.fromkeys(files, CT_WINDOW) if in_hounsfield else {})
    findings = [
        Finding("note", "volumes", f"{label}: {note}", 0) for label, one in listings.items() for note in one.notes
    ]
    sides = VolumeSides(folders, files, pairs, in_hounsfield, both)
    widths = {label: float(np.median(some)) for label, some in fields.items()}
    if max(widths.values()) > _ALIKE_FIELDS * min(widths.values()):
        words = ", ".join(f"{label} {width:.0f} mm" for label, width in widths.items())
        text = f"slices are compared whole, and their fields of view differ: {words} (medians)"
        findings.append(Finding("warning", "field of view", text, 0))
    if most > sides.most_slices:
        text = f"of each volume at most {sides.most_slices} slices are compared, spread evenly"
        findings.append(Finding("note", "volumes", text, 0))
    return replace(sides, findings=findings)


def read_volume(file: VolumeFile, label: str) -> Volume:
    """A volume of a side.

    Args:
        file: of it.
        label: its side, for the error.

    Raises:
        UserError: it cannot be used.
    """
    try:
        return file.read().volume
    except BadVolume as error:
        raise UserError(f"--{label}: {error}; mend or remove it") from error


def real_head(truth: Volume, window: tuple[float, float], *, name: str) -> np.ndarray:
    """The head of a real volume, ``(i, j, k)`` bool.

    Args:
        truth: a real volume.
        window: values that are black and white.
        name: of its file, for the error.

    Raises:
        UserError: it shows none.
    """
    try:
        return head_of(truth, window)
    except NoHead as error:
        raise UserError(f"--{REAL}: {name}: {error}") from error


def on_real_grid(made: Volume, truth: Volume, mask: np.ndarray, *, name: str) -> tuple[Volume, list[str]]:
    """The fake volume on the grid of the real one.

    Args:
        made, truth: of one patient.
        mask: ``(i, j, k)`` bool, the real head.
        name: of the fake one, for errors.

    Returns:
        The volume, and what a person should know.

    Raises:
        UserError: they lie in two spaces.
    """
    if same_grid(made, truth):
        return made, []
    frames = {made.frame_of_reference, truth.frame_of_reference} - {""}
    if len(frames) > 1:
        raise UserError(f"--{FAKE}: {name}: lies in another frame of reference than the real one; register it first")
    share = _covered(made, truth, mask)
    if share < _LEAST_COVERED:
        raise UserError(
            f"--{FAKE}: {name}: covers {share:.0%} of the real one's head; are their positions in one space?"
        )
    outside = "air" if made.unit == HOUNSFIELD else "black"
    notes = [f"the fake volume covers {share:.1%} of the real one's head; the rest counts as {outside}"]
    return resampled(made, truth), [
        *(notes if share < 1 else []),
        "the fake volume was resampled onto the real one's grid",
    ]


def chosen_slices(slices: Sequence, most: int) -> list:
    """At most so many, spread evenly from the first to the last."""
    if len(slices) <= most:
        return list(slices)
    return [slices[index] for index in np.linspace(0, len(slices) - 1, most).round().astype(int)]


def _is_ct(volume: Volume) -> bool:
    return volume.modality in ("", "CT") and float(volume.voxels.min()) < AIR_BELOW


def _by_volume(cases: Sequence[Case]) -> list[list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(_volume_of(case), []).append(case)
    return list(found.values())


def _volume_of(case: Case) -> str:
    return case.name.rpartition("#")[0] or case.name


def _by_stem(case: Case) -> Case:
    """A volume that nothing names is known by its own name, whatever its ending: on both sides it is one patient."""
    name = _volume_of(case)
    return case.with_patient(nifti_stem(name)[0]) if case.patient == name else case


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


def _covered(made: Volume, truth: Volume, mask: np.ndarray) -> float:
    """Which share of the real head's voxels lie within another volume."""
    head = np.argwhere(mask)
    some = head[:: max(1, len(head) // _ASKED)]
    places = indices_of(made, truth.world(some))
    return float(((places > -1) & (places < np.array(made.shape))).all(axis=-1).mean())
