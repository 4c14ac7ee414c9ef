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
from evaluation_tf.finished.pictures import likeness_sections, pair_sections
from evaluation_tf.finished.sides import FAKE, REAL
from evaluation_tf.finished.volumes import volume_section
from evaluation_tf.output import ReportFolder
from evaluation_tf.parts import Gap, Section
from evaluation_tf.provenance import command_words, version_words
from evaluation_tf.report import write_report

_UNKNOWN = (
    "The pictures were made elsewhere: whether the program that made them has seen the real ones in its training, "
    "nobody can tell from the files"
)


@dataclass(frozen=True)
class FinishedRequest:
    """What to score, as on the command line of evaluate.py.

    Attributes:
        output: folder of the report.
        real, fake: folders of pictures, or of volumes.
        paired: files of one name show one slice, or one patient.
        windows: values of deep pictures that are black and white, by ``real`` and ``fake``.
        inception_weights: ``imagenet`` or a file.
        extractor: detector run whose features are compared.
        command: the command line, for the report.
    """

    output: Path
    real: Path
    fake: Path
    paired: bool = False
    windows: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    inception_weights: str = "imagenet"
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
    if all(holds) and not request.paired:
        raise UserError(
            f"--real {request.real}: holds volumes, which are scored against their partners of the same name; add "
            "--paired"
        )
    if all(holds):
        for flag, is_given in (
            ("--window", request.windows), ("--extractor", request.extractor),
            ("--inception-weights", request.inception_weights != "imagenet"),
        ):  # fmt: skip
            if is_given:
                raise UserError(f"{flag}: is for pictures, and the folders hold volumes")
    gaps: list[Gap] = []
    with ReportFolder(request.output) as folder:
        if all(holds):
            sections = [volume_section(volumes[REAL].volumes, volumes[FAKE].volumes, figures=folder.figures)]
            for label, listing in volumes.items():
                sections[0].warnings += [f"{label}: {note}" for note in listing.notes]
                # Pictures of the volumes often lie beside them.
                if listing.pictures:
                    gaps.append(Gap(f"{listing.pictures} {label} picture files", "volumes lie beside them; not read"))
        else:
            sections = _picture_sections(request, folders, folder, gaps)
        name = f"{folders[FAKE].resolve().name} against {folders[REAL].resolve().name}"
        texts = {
            "Command": command_words(request.command),
            "Versions and time": version_words(time.monotonic() - began, folder.cache),
        }
        return write_report(
            folder,
            title="Finished pictures, scored",
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


def _picture_sections(
    request: FinishedRequest, folders: Mapping[str, Path], folder: ReportFolder, gaps: list[Gap]
) -> list[Section]:
    extractors, reasons = named_extractors(request.inception_weights, request.extractor)
    gaps += reasons
    # What is quickly refused, such as a missing partner, comes first; likeness takes a minute and more.
    right = pair_sections(folders, request.windows, folder=folder) if request.paired else []
    if not request.paired:
        gaps.append(Gap("pictures against their truth", "the folders are not said to hold partners; add --paired"))
    likeness = likeness_sections(folders, request.windows, extractors=extractors, paired=request.paired, folder=folder)
    return [*likeness, *right]


def _volumes(folder: Path, flag: str) -> VolumeListing:
    try:
        return list_volumes(folder)
    except BadVolume as error:
        raise UserError(f"{flag} {error}") from error
