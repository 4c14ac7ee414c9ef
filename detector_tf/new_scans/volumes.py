"""Volumes for a detector: which values are black and white, and which slices show a head."""

from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.heads import HeadSlices, head_slices
from common_tf.volumes.planes import slices_on_grid
from common_tf.volumes.volume import HOUNSFIELD, BadVolume, Volume
from common_tf.volumes.windows import volume_window
from detector_tf.sections import SLICE

_MODALITIES = ("", "CT", "MR")


def refuse_volume(volume: Volume, preparation: Preparation, given: tuple[float, float] | None) -> None:
    """Refuses what a run cannot look at.

    Args:
        volume: that is to be looked at.
        preparation: of the run.
        given: values that are black and white, by the user.

    Raises:
        BadVolume: neither CT nor MR, HU whose black and white nobody says, or slices that are not on the grid.
    """
    if volume.modality not in _MODALITIES:
        raise BadVolume(f"says that it is {volume.modality}, which is neither CT nor MR")
    is_ct = volume.unit == HOUNSFIELD or volume.modality == "CT"
    if is_ct and given is None and preparation.physical is None:
        raise BadVolume(
            f"holds HU, and the run does not say which are black and white; say it: --window {SLICE}=BLACK:WHITE (a "
            f"brain window is {SLICE}=0:80)"
        )
    slices_on_grid(volume)


def heads_of(
    file: VolumeFile, preparation: Preparation, given: tuple[float, float] | None
) -> tuple[Volume, HeadSlices, list[str]]:
    """Reads a volume that `refuse_volume` let pass.

    Returns:
        It, its axial slices with their heads, and what a person should know.

    Raises:
        UserError: no slice shows a head.
    """
    read = file.read()
    slices = slices_on_grid(read.volume)
    window, line = volume_window(slices, preparation, domain=SLICE, given=given)
    try:
        heads = head_slices(slices, window, preparation)
    except BadVolume as error:
        raise UserError(f"{file.name}: {error}") from error
    notes = [*read.notes, line]
    if blank := len(slices) - len(heads.found):
        notes.append(f"{blank} of {len(slices)} slices show no head and were not looked at")
    return read.volume, heads, [f"{file.name}: {note}" for note in notes]
