"""The two sides as volumes: what their values mean, which are partners, and where they lie."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.progress import progress
from common_tf.sources.listing import Listing, others_finding
from common_tf.sources.source import listed
from common_tf.splits.finding import Finding
from common_tf.volumes.files import DICOM, VolumeFile, VolumeListing, nifti_stem
from common_tf.volumes.heads import NoHead, head_of
from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import indices_of, resampled
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume, same_grid
from common_tf.volumes.windows import AIR_BELOW, CT_WINDOW, has_air, looks_like_ct
from evaluation_tf.finished.sides import FAKE, REAL

_LEAST_COVERED, _ASKED = 0.5, 20_000
_MASK_KINDS, _ASKED_SLICES = 8, 16
_MOST_SLICES, _FEWEST = 3000, 8
_ALIKE_FIELDS = 1.1


@dataclass(frozen=True)
class VolumeSides:
    """Volumes of both sides that have been looked at.

    Attributes:
        folders: by side.
        files: by side.
        pairs: a real volume and its partner, by the name that they share; empty where none are asked for.
        in_hounsfield: all of them are CT in HU, with the air that shows it.
        windows: black and white of slices by side; none where each volume has its own.
        findings: what is to be said of them.
    """

    folders: Mapping[str, Path]
    files: Mapping[str, Sequence[VolumeFile]]
    pairs: Mapping[str, tuple[VolumeFile, VolumeFile]]
    in_hounsfield: bool
    windows: Mapping[str, tuple[float, float]]
    findings: Sequence[Finding] = ()

    @property
    def most_slices(self) -> int:
        """How many slices of each volume are compared: of many volumes fewer of each, spread evenly."""
        return max(_FEWEST, _MOST_SLICES // max(len(files) for files in self.files.values()))


@dataclass(frozen=True)
class _Seen:
    """What one look at a volume tells.

    Attributes:
        is_ct: it says that it is CT, or has the air of a CT in HU.
        has_air: it has.
        modality: as DICOM says.
        kinds: how many values it holds, in some of its slices.
        width: of its slices' field of view, the longer side in mm.
        slices: how many.
    """

    is_ct: bool
    has_air: bool
    modality: str
    kinds: int
    width: float
    slices: int


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
    seen: dict[str, dict[str, _Seen]] = {}
    files: dict[str, list[VolumeFile]] = {}
    findings: list[Finding] = []
    for label, listing in listings.items():
        findings += [Finding("note", "volumes", f"{label}: {note}", 0) for note in listing.notes]
        findings += others_finding([Listing((), listing.others)], label)
        some = progress(listing.volumes, total=len(listing.volumes), words=f"reading the {label} volumes")
        looked = {file.name: _look(read_volume(file, label)) for file in some}
        masks = tuple(name for name, one in looked.items() if one.kinds <= _MASK_KINDS)
        if masks:
            text = f"{label}: {len(masks)} volumes hold {_MASK_KINDS} values and fewer, as masks do; left out"
            findings.append(Finding("warning", "masks", text, len(masks), masks))
        seen[label] = {name: one for name, one in looked.items() if name not in masks}
        files[label] = [file for file in listing.volumes if file.name in seen[label]]
        if not files[label]:
            raise UserError(
                f"--{label}: all of its {len(masks)} volumes hold {_MASK_KINDS} values and fewer, as masks do"
            )
    try:
        pairs = _partners(files[REAL], files[FAKE]) if paired else {}
    except UserError as error:
        raise UserError("; ".join([str(error), *(one.text for one in findings if one.topic == "masks")])) from error
    in_hounsfield = all(one.is_ct and one.has_air for mine in seen.values() for one in mine.values())
    if not windows:
        _refuse_unlike(seen)
    both = windows or (dict.fromkeys(files, CT_WINDOW) if in_hounsfield else {})
    sides = VolumeSides(folders, files, pairs, in_hounsfield, both)
    widths = {label: float(np.median([one.width for one in mine.values()])) for label, mine in seen.items()}
    if max(widths.values()) > _ALIKE_FIELDS * min(widths.values()):
        words = ", ".join(f"{label} {width:.0f} mm" for label, width in widths.items())
        text = f"slices are compared whole, and their fields of view differ: {words} (medians)"
        findings.append(Finding("warning", "field of view", text, 0))
    if max(one.slices for mine in seen.values() for one in mine.values()) > sides.most_slices:
        text = f"of each volume at most {sides.most_slices} slices are compared, spread evenly"
        findings.append(Finding("note", "volumes", text, 0))
    return replace(sides, findings=findings)


def _look(volume: Volume) -> _Seen:
    slices = slices_of(volume)
    return _Seen(
        is_ct=looks_like_ct(volume),
        has_air=has_air(volume),
        modality=volume.modality,
        kinds=len(np.unique(slices.values[chosen_slices(range(len(slices)), _ASKED_SLICES)])),
        width=float(max(np.array(slices.values.shape[1:]) * slices.spacing)),
        slices=len(slices),
    )


def _refuse_unlike(seen: Mapping[str, Mapping[str, _Seen]]) -> None:
    """Refuses volumes whose values cannot be compared as they are: CT beside others, and CT whose air was cut off, for
    a scale of each volume's own would hide an error in HU.

    Raises:
        UserError: such ones.
    """
    every = [(label, name, one) for label, mine in seen.items() for name, one in mine.items()]
    modalities = sorted({one.modality for _, _, one in every if one.modality})
    ct = [(label, name) for label, name, one in every if one.is_ct]
    other = [(label, name) for label, name, one in every if not one.is_ct]
    cut = [(label, name) for label, name, one in every if one.is_ct and not one.has_air]
    way = "name the values that are black and white on either side: --window real=LO:HI,fake=LO:HI"
    if ct and other:
        first, second = (" ".join(("--" + some[0][0], some[0][1])) for some in (ct, other))
        raise UserError(
            f"{first} is a CT ({len(ct)} such volumes), as what goes below {AIR_BELOW:g} is or DICOM says, and "
            f"{second} is none ({len(other)} such); {way}"
        )
    if len(modalities) > 1:
        raise UserError(f"--{REAL}, --{FAKE}: hold {' and '.join(modalities)}, as DICOM says; {way}")
    if cut:
        label, name = cut[0]
        raise UserError(f"--{label} {name}: a CT without air, as if its values were cut off ({len(cut)} such); {way}")


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


def _partners(real: Sequence[VolumeFile], fake: Sequence[VolumeFile]) -> dict[str, tuple[VolumeFile, VolumeFile]]:
    """By name without ending; where each patient has a folder with one volume on either side, by the folder."""
    for key in (volume_stem, _folder):
        sides = [{key(one): one for one in side} for side in (real, fake)]
        if all(len(found) == len(side) for found, side in zip(sides, (real, fake))) and set(sides[0]) == set(sides[1]):
            return {name: (sides[0][name], sides[1][name]) for name in sorted(sides[0])}
    names = [Counter(volume_stem(one) for one in side) for side in (real, fake)]
    alone = sorted(set(names[0]) ^ set(names[1])) or sorted(
        {name for mine in names for name, count in mine.items() if count > 1}
    )
    raise UserError(f"--real, --fake: {len(alone)} volumes have no single partner of the same name ({listed(alone)})")


def volume_stem(file: VolumeFile) -> str:
    """A volume's name without its ending."""
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
