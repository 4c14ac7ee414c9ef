"""Volumes for a detector: which belong together, which values are black and white, and which slices show a head."""

from collections.abc import Sequence
from dataclasses import dataclass

from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation
from common_tf.sources.segmented_volumes import LABEL_ENDINGS, SEQUENCES, by_name, channels_of, label_ending
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.heads import HeadSlices, NoHead, head_slices
from common_tf.volumes.planes import slices_on_grid
from common_tf.volumes.volume import BadVolume, Volume, same_grid
from common_tf.volumes.windows import looks_like_ct, volume_window
from detector_tf.sections import SLICE

_MODALITIES = ("", "CT", "MR")


@dataclass(frozen=True)
class NewScan:
    """A head to be looked at.

    Attributes:
        file: the volume, or of several channels the one in the middle.
        channels: in the order of the training; one stands for all where there is no other.
    """

    file: VolumeFile
    channels: Sequence[VolumeFile]


@dataclass(frozen=True)
class OpenedScan:
    """A head in memory.

    Attributes:
        volume: of the file.
        channels: of each its slices with their heads; empty where no slice shows one.
        notes: what a person should know.
    """

    volume: Volume
    channels: Sequence[HeadSlices]
    notes: Sequence[str]


def new_scans(files: Sequence[VolumeFile], *, channels: int) -> tuple[list[NewScan], list[str]]:
    """The scans of a folder: labels are none, and of BraTS's sequences those that a training takes are one.

    Args:
        files: of the folder.
        channels: of the network's input.

    Returns:
        The scans, and what was left out.

    Raises:
        UserError: two files that differ in nothing but their endings, or a sequence that is missing.
    """
    known = by_name(files)
    labels = {stem for stem in known if (ending := label_ending(stem)) and _is_label(known, stem, ending)}
    scans: list[NewScan] = []
    used = set(labels)
    learned = [choice for choices in LABEL_ENDINGS.values() for choice in choices if len(choice) > 1]
    for choice, endings in zip(learned, SEQUENCES, strict=True):
        middle = choice[len(choice) // 2]
        for head in [stem.removesuffix(middle) for stem in known if stem.endswith(middle)]:
            found = channels_of(known, head, [choice], channels)
            sequences = {head + ending for ending in endings} & set(known)
            if len(sequences) < 2:  # alone it is a volume as any other
                continue
            if not found:
                missing = [head + ending for ending in choice if head + ending not in known]
                raise UserError(
                    f"{known[head + middle].name}: the run looks at three sequences; {missing[0]} is missing"
                )
            scans.append(NewScan(known[head + middle], found))
            used |= sequences
    scans += [NewScan(file, [file]) for stem, file in known.items() if stem not in used]
    notes = [f"{len(labels)} labels are no scans and left out"] if labels else []
    if left := len(known) - len(labels) - sum(len(scan.channels) for scan in scans):
        notes.append(f"{left} sequences that the run did not learn from are left out")
    if channels > 1 and (single := sum(len(scan.channels) == 1 for scan in scans)):
        notes.append(f"{single} volumes stand for all {channels} channels each, for no others lie beside them")
    return sorted(scans, key=lambda scan: scan.file.name), notes


def _is_label(known: dict[str, VolumeFile], stem: str, ending: str) -> bool:
    base = stem[: -len(ending)]
    return any(base + one in known for choice in LABEL_ENDINGS[ending] for one in choice)


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
    if looks_like_ct(volume) and given is None and preparation.physical is None:
        raise BadVolume(
            f"holds HU (its lowest value is {float(volume.voxels.min()):g}), and the run does not say which are black "
            f"and white; say it: --window {SLICE}=BLACK:WHITE (a brain window is {SLICE}=0:80)"
        )
    slices_on_grid(volume)


def open_scan(scan: NewScan, preparation: Preparation, given: tuple[float, float] | None) -> OpenedScan:
    """Reads a scan that `refuse_volume` let pass.

    Raises:
        BadVolume: channels on different grids.
    """
    reads = [file.read() for file in scan.channels]
    volume = reads[len(reads) // 2].volume
    heads, notes = [], []
    for file, read in zip(scan.channels, reads):
        if not same_grid(volume, read.volume):
            raise BadVolume(f"{file.name}: lies on another grid than {scan.file.name}; resample one onto the other")
        slices = slices_on_grid(read.volume)
        window, line = volume_window(slices, preparation, domain=SLICE, given=given)
        notes += [f"{file.name}: {note}" for note in (*read.notes, line)]
        try:
            heads.append(head_slices(slices, window, preparation))
        except NoHead as error:
            return OpenedScan(volume, (), [*notes, f"{file.name}: {error}"])
    middle = heads[len(heads) // 2]
    if blank := len(middle.masks) - len(middle.found):
        notes.append(f"{scan.file.name}: {blank} of {len(middle.masks)} slices show no head and were not looked at")
    return OpenedScan(volume, heads, notes)
