"""From two folders to a report: real pictures or volumes, and those that somebody's program made."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common_tf.errors import UserError
from common_tf.sources.folders import existing_folder
from common_tf.volumes.files import VolumeListing, list_volumes
from common_tf.volumes.volume import BadVolume
from evaluation_tf.features import named_extractors
from evaluation_tf.finished.hounsfield import hounsfield_section
from evaluation_tf.finished.likeness import likeness_sections
from evaluation_tf.finished.pairs import pair_section, picture_pairs
from evaluation_tf.finished.sides import FAKE, REAL, picture_source
from evaluation_tf.finished.unitless import unitless_pairs
from evaluation_tf.finished.volume_sides import VolumeSides, open_volume_sides
from evaluation_tf.finished.volume_slices import patients_of, slice_source
from evaluation_tf.output import ReportFolder
from evaluation_tf.parts import Gap, Section
from evaluation_tf.provenance import command_words, version_words
from evaluation_tf.report import write_report
from evaluation_tf.similarity import REGIONS

_UNKNOWN = (
    "What is scored was made elsewhere: whether the program that made it has seen the real ones in its training, "
    "nobody can tell from the files"
)


@dataclass(frozen=True)
class FinishedRequest:
    """What to score, as on the command line of evaluate.py.

    Attributes:
        output: folder of the report.
        real, fake: folders of pictures, or of volumes.
        paired: files of one name show one slice, or one patient.
        windows: values of deep pictures or of volumes that are black and white, by ``real`` and ``fake``.
        inception_weights: ``imagenet`` or a file; ``None`` for ImageNet's where they can be had.
        extractor: detector run whose features are compared.
        command: the command line, for the report.
    """

    output: Path
    real: Path
    fake: Path
    paired: bool = False
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inception_weights: str | None = None
    extractor: Path | None = None
    command: Sequence[str] = ()


def score(request: FinishedRequest) -> Path:
    """Writes a report on finished pictures or volumes.

    Without ``paired`` the sets are compared; with it also each file with its partner of the same name.

    Returns:
        The path of report.html.

    Raises:
        UserError: folders that cannot be used, the same folder twice, partners that are missing.
    """
    began = time.monotonic()
    folders = {REAL: existing_folder(request.real), FAKE: existing_folder(request.fake)}
    _refuse_nested({"--real": folders[REAL], "--fake": folders[FAKE], "--output": request.output})
    volumes = {label: _volumes(folder, f"--{label}") for label, folder in folders.items()}
    holds = [bool(listing.volumes) for listing in volumes.values()]
    if any(holds) and not all(holds):
        raise UserError(f"--real {request.real}, --fake {request.fake}: one holds volumes, the other none")
    sides = None
    if all(holds):
        sides = open_volume_sides(folders, volumes, request.windows, paired=request.paired)
    gaps: list[Gap] = []
    with ReportFolder(request.output) as folder:
        # What is quickly refused, such as a missing partner, comes first; likeness takes a minute and more.
        source = picture_source(folders) if sides is None else slice_source(sides)
        of = "pictures" if sides is None else "slices"
        right = []
        if not request.paired:
            gaps.append(Gap(f"{of} against their truth", "the folders are not said to hold partners; add --paired"))
        elif sides is None:
            right = [_picture_pairs(folders, request.windows, folder)]
        else:
            right = [_volume_pairs(sides, patients_of(source), folder)]
        for label, listing in volumes.items():
            # Pictures of the volumes often lie beside them.
            if sides is not None and listing.pictures:
                gaps.append(Gap(f"{listing.pictures} {label} picture files", "volumes lie beside them; not read"))
        extractors, reasons = named_extractors(request.inception_weights, request.extractor)
        gaps += reasons
        sections = likeness_sections(
            source,
            request.windows if sides is None else {},
            of=of,
            extractors=extractors,
            # Partners among volumes are of one patient, and so of one group.
            paired=request.paired and sides is None,
            folder=folder,
        )
        sections += right
        name = f"{folders[FAKE].resolve().name} against {folders[REAL].resolve().name}"
        texts = {
            "Command": command_words(request.command),
            "Versions and time": version_words(time.monotonic() - began, folder.cache),
        }
        return write_report(
            folder,
            title=f"Finished {'pictures' if sides is None else 'volumes'}, scored",
            subtitle=f"{name}; {time.strftime('%Y-%m-%d')}",
            sections=sections,
            gaps=gaps,
            warnings=[_UNKNOWN],
            provenance=texts,
        )


def _refuse_nested(folders: Mapping[str, Path]) -> None:
    """One folder inside another would be read as part of it."""
    places = {flag: folder.resolve() for flag, folder in folders.items()}
    for flag, place in places.items():
        for other, around in places.items():
            if other != flag and place.is_relative_to(around):
                what = "is the folder of" if place == around else "lies inside that of"
                raise UserError(f"{flag} {folders[flag]}: {what} {other}; give folders beside each other")


def _picture_pairs(
    folders: Mapping[str, Path], windows: Mapping[str, tuple[float, float]], folder: ReportFolder
) -> Section:
    pairs = picture_pairs(folders, windows)
    intro = (
        f"Each fake picture against the real one of the same name: {len(pairs)} pairs in {pairs.group_count} "
        f"{pairs.group_word}, at the pictures' own size."
    )
    return pair_section(pairs, of="pictures", intro=intro, regions=tuple(REGIONS), folder=folder)


def _volume_pairs(sides: VolumeSides, patients: Mapping[str, str], folder: ReportFolder) -> Section:
    if sides.in_hounsfield:
        who = [patients[f"{REAL}/{real.name}"] for real, _ in sides.pairs.values()]
        return hounsfield_section(sides.pairs, who, figures=folder.figures)
    pairs = unitless_pairs(sides, patients)
    intro = (
        f"Each axial slice of a fake volume against the real one at its place: {len(pairs)} slices of "
        f"{len(sides.pairs)} volumes, {pairs.group_count} {pairs.group_word}. "
        f"{_scale(sides)}."
    )
    return pair_section(pairs, of="slices", intro=intro, regions=("head",), folder=folder)


def _scale(sides: VolumeSides) -> str:
    if not sides.windows:
        return (
            "They are no CT in HU, so each volume, real or fake, is seen from its background to the 99.5th percentile "
            "of its heads: an error of brightness or contrast over a whole volume is not seen here (if they are CT "
            "whose air was cut off, name black and white: --window)"
        )
    return "As asked for, " + "; ".join(
        f"{label} {low:g} is black and {high:g} white" for label, (low, high) in sides.windows.items()
    )


def _volumes(folder: Path, flag: str) -> VolumeListing:
    try:
        return list_volumes(folder)
    except BadVolume as error:
        raise UserError(f"{flag} {error}") from error
