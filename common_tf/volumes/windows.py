"""Which values of a volume are black and which are white, and what comes back of them."""

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.head import head_mask
from common_tf.pictures.preparation import MRI_WHITE, Preparation
from common_tf.volumes.planes import Slices
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume

CT_WINDOW = -1000.0, 2000.0
"""HU that are black and white in a training on volumes, where the user gives no window."""

_BLACK_PERCENTILE, _WHITE_PERCENTILE = 0.1, 99.5
AIR_BELOW = -200.0
"""What only a CT goes below, of volumes that do not say what they are."""

_LEAST_AIR = 0.001


def is_ct(domain: str) -> bool:
    """Whether a domain's values are Hounsfield units, by its name."""
    return domain.upper().startswith("CT")


def has_air(volume: Volume) -> bool:
    """Whether a thousandth of a volume's voxels lie where only the air of a CT in HU does. Single ones, which
    interpolation or a network may put there, tell nothing.
    """
    return float((volume.voxels < AIR_BELOW).mean()) >= _LEAST_AIR


def looks_like_ct(volume: Volume) -> bool:
    """Whether a volume says that it is CT, or has a CT's air and does not say what it is."""
    return volume.unit == HOUNSFIELD or volume.modality == "CT" or (not volume.modality and has_air(volume))


def refuse_run(preparation: Preparation, *, domain: str) -> None:
    """Refuses CT volumes for a run that does not say which HU its black and white are.

    Raises:
        UserError: such a run.
    """
    if is_ct(domain) and preparation.physical is None:
        raise UserError(
            f"the run does not say which HU its black and white are; say it: --window {domain}=BLACK:WHITE (a brain "
            f"window is {domain}=0:80)"
        )


def volume_window(
    slices: Slices, preparation: Preparation, *, domain: str, given: tuple[float, float] | None
) -> tuple[tuple[float, float], str]:
    """Black and white of a volume that is to be translated.

    What the user gives; else what the run's black and white are, for a CT in HU; else, for an MRI, whose values have no
    unit, its own `head_range`, one scale for all of its slices.

    Args:
        slices: of the volume that is to be translated.
        preparation: of the run's source domain; a CT's has passed `refuse_run` where nothing is given.
        domain: its name.
        given: by the user.

    Returns:
        The window, and a line that says where it is from.
    """
    if given is not None:
        return given, f"{given[0]:g} is black and {given[1]:g} is white, as given"
    if not is_ct(domain):
        if preparation.physical is not None:
            low, high = preparation.physical
            return (low, high), f"{low:g} is black and {high:g} is white, as in the run's training"
        low, high = head_range(slices)
        words = f"{low:g} is black ({_BLACK_PERCENTILE} % of the volume lie below)"
        return (low, high), f"{words} and {high:g} is white ({_WHITE_PERCENTILE} % of the head lie below)"
    assert preparation.physical is not None  # see refuse_run
    low, high = preparation.physical
    return (low, high), f"{low:g} HU is black and {high:g} HU is white, as in the run's training"


def training_window(
    volume: Volume, slices: Slices, *, domain: str, given: tuple[float, float] | None
) -> tuple[float, float]:
    """Black and white of a volume that is trained on: `volume_window` without a run.

    Raises:
        BadVolume: another modality than the domain's, or a CT whose values are no HU.
    """
    refuse_other(volume, domain=domain, has_window=given is not None)
    return fixed_window(domain, given) or head_range(slices)


def fixed_window(domain: str, given: tuple[float, float] | None) -> tuple[float, float] | None:
    """Black and white of all volumes of a training: as given, else `CT_WINDOW` of a CT; ``None`` for each MRI's own."""
    return given or (CT_WINDOW if is_ct(domain) else None)


def refuse_other(volume: Volume, *, domain: str, has_window: bool = False) -> None:
    """Refuses a volume that is not of a domain, by what it says of itself or by its values.

    Args:
        volume: that is taken for one of the domain.
        domain: its name; ``""`` refuses none.
        has_window: the user said which values are black and white, so whatever the values are, they are understood.

    Raises:
        BadVolume: another modality, a CT whose values are no HU, or an MRI that holds air as only a CT does.
    """
    if not domain:
        return
    if not may_be(volume.modality, domain):
        raise BadVolume(f"says that it is {volume.modality}, and {domain} is wanted here; take the other --direction")
    if has_window:
        return
    air = has_air(volume)
    if is_ct(domain) and volume.unit != HOUNSFIELD and not air:
        raise BadVolume(
            f"holds values from {volume.voxels.min():g} to {volume.voxels.max():g} and no air of about "
            f"-1000, so they are no HU; give the values of black and white: --window {domain}=BLACK:WHITE"
        )
    if not is_ct(domain) and not volume.modality and air:
        raise BadVolume(f"holds values down to {volume.voxels.min():g}, as a CT does, and {domain} is wanted here")


def head_range(slices: Slices) -> tuple[float, float]:
    """The 0.1st percentile of a volume, which is its background, and the 99.5th of its heads.

    Not the lowest value: a single voxel that interpolation or a network puts below all others would move black.
    """
    low, top = map(float, np.percentile(slices.values, (_BLACK_PERCENTILE, 99.9)))
    scaled = (np.clip((one - low) / max(top - low, 1e-6), 0, 1) for one in slices.values)
    inside = [one[head_mask(grey)] for one, grey in zip(slices.values, scaled)]
    head = np.concatenate(inside)
    high = float(np.percentile(head if head.size else slices.values, _WHITE_PERCENTILE))
    return low, high if high > low else low + 1.0


def physical_values(scaled: np.ndarray, preparation: Preparation, *, domain: str) -> tuple[np.ndarray, str, str]:
    """Translated values as those of the target.

    Args:
        scaled: in [0, 1].
        preparation: of the run's target domain.
        domain: its name.

    Returns:
        float32 of whole numbers; their unit; a line that says what they are.
    """
    if preparation.physical is None:
        return np.round(scaled * MRI_WHITE), "", f"{domain} without a unit, black 0 and white {MRI_WHITE:g}"
    low, high = preparation.physical
    values = np.round(low + scaled * (high - low))
    if not is_ct(domain):
        return values, "", f"{domain}, black {low:g} and white {high:g} as in the run's training"
    return values, HOUNSFIELD, f"{domain} in HU, clipped to {low:g} to {high:g} as in the run's training"


def may_be(modality: str, domain: str) -> bool:
    """Whether what DICOM says of itself can be a domain's: CT a CT, MR all others; nothing said can be either.

    Dose maps, segmentations and PET are neither, unless the domain has their name.
    """
    if not modality or modality == domain.upper():
        return True
    return modality == ("CT" if is_ct(domain) else "MR")
