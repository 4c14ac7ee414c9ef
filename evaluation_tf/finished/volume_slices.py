"""The slices of the two sides' volumes as cases, and whose they are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Source
from common_tf.sources.volumes import joined_patients, volume_cases
from common_tf.splits.finding import Finding
from common_tf.volumes.files import VolumeFile
from evaluation_tf.finished.sides import folder_above, of_side
from evaluation_tf.finished.volume_sides import VolumeSides, chosen_slices, volume_stem


def slice_source(sides: VolumeSides) -> Source:
    """Axial slices of both sides as cases, each of its patient.

    Partners are of one patient; so are volumes of one name, those in folders of one name where a side has a folder for
    each patient, and what DICOM or patients.csv gives to one.

    Args:
        sides: that have been looked at.

    Raises:
        UserError: a patients.csv that cannot be used.
    """
    cases: list[Case] = []
    findings: list[Finding] = [*sides.findings]
    words: dict[str, set[str]] = {}
    for label, files in sides.files.items():
        folder = sides.folders[label]
        mine, said = volume_cases(
            files,
            folder,
            folder,
            label=label,
            domain="",
            given_split="test",
            window=sides.windows.get(label),
            plane="axial",
        )
        mine, who = with_patients(folder, mine, above=folder_above(sides.folders))
        named = {_volume_of(case): case.patient for case in mine}
        for file in files:
            # Its own name is no patient's; it is among the words below, without its ending.
            own = {f"patient {named[file.name]}"} if named.get(file.name, file.name) != file.name else set()
            words[f"{label}/{file.name}"] = own | {f"name {volume_stem(file)}"}
        cases += [of_side(case, label) for some in _by_volume(mine) for case in chosen_slices(some, sides.most_slices)]
        findings += [*said, *who]
    _add_folders(words, sides.files)
    for number, pair in enumerate(sides.pairs.values()):
        for label, file in zip(sides.files, pair):
            words[f"{label}/{file.name}"].add(f"pair {number}")
    patients = joined_patients(words)
    return Source("folders", next(iter(sides.folders.values())), [_named(case, patients) for case in cases], findings)


def patients_of(source: Source) -> dict[str, str]:
    """The patient of each volume, by its side and name.

    Args:
        source: from `slice_source`.
    """
    return {_volume_of(case): case.patient for case in source.cases}


def _add_folders(words: dict[str, set[str]], files: Mapping[str, Sequence[VolumeFile]]) -> None:
    """Folders of patients: those of a side that has several; one of the same name names the same patient anywhere."""
    folders = {label: Counter(_parent(file) for file in mine) for label, mine in files.items()}
    known = {folder for mine in folders.values() if len(mine) > 1 for folder in mine if folder}
    for label, mine in files.items():
        for file in mine:
            for folder in (_parent(file), volume_stem(file)):
                if folder in known:
                    words[f"{label}/{file.name}"].add(f"name {folder}")


def _parent(file: VolumeFile) -> str:
    parent = PurePosixPath(file.name).parent
    return parent.as_posix() if parent.parts else ""


def _named(case: Case, patients: Mapping[str, str]) -> Case:
    return replace(case, patient=patients[_volume_of(case)])


def _by_volume(cases: Sequence[Case]) -> list[list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(_volume_of(case), []).append(case)
    return list(found.values())


def _volume_of(case: Case) -> str:
    return case.name.rpartition("#")[0] or case.name
