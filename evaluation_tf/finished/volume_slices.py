"""The slices of the two sides' volumes as cases, and whose they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Source
from common_tf.sources.volume_pairs import MRI_WORDS
from common_tf.sources.volumes import joined_patients, volume_cases
from common_tf.splits.finding import Finding
from common_tf.volumes.files import VolumeFile
from evaluation_tf.finished.sides import folder_above, of_side
from evaluation_tf.finished.volume_sides import VolumeSides, chosen_slices, volume_stem

_KINDS = {*MRI_WORDS, *"ct cta sct smr t1c anat axial head brain real fake synthetic generated".split()}


def slice_source(sides: VolumeSides) -> Source:
    """Axial slices of both sides as cases, each of its patient.

    Partners are of one patient; so are volumes whose own names or folders' have a part in common that is not common to
    all of a side, and what DICOM or patients.csv gives to one.

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
        )
        mine, who = with_patients(folder, mine, above=folder_above(sides.folders))
        named = {_volume_of(case): case.patient for case in mine}
        for file in files:
            # A volume that nothing names is of a patient of its own name, which says nothing of the other side.
            own = {f"patient {named[file.name]}"} if named.get(file.name, file.name) != file.name else set()
            words[f"{label}/{file.name}"] = own
        cases += [of_side(case, label) for some in _by_volume(mine) for case in chosen_slices(some, sides.most_slices)]
        findings += [*said, *who]
    _add_names(words, sides.files)
    for number, pair in enumerate(sides.pairs.values()):
        for label, file in zip(sides.files, pair):
            words[f"{label}/{file.name}"].add(f"pair {number}")
    patients = joined_patients(words)
    people = [{patients[f"{label}/{file.name}"] for file in files} for label, files in sides.files.items()]
    if not set.intersection(*people):
        text = "no volume of one side is of a patient of the other by what names it; if one is, say so in patients.csv"
        findings.append(Finding("note", "patients", text, 0))
    return Source("folders", next(iter(sides.folders.values())), [_named(case, patients) for case in cases], findings)


def patients_of(source: Source) -> dict[str, str]:
    """The patient of each volume, by its side and name.

    Args:
        source: from `slice_source`.
    """
    return {_volume_of(case): case.patient for case in source.cases}


def _add_names(words: dict[str, set[str]], files: Mapping[str, Sequence[VolumeFile]]) -> None:
    """What the names of files and folders of both sides have in common speaks for one patient, unless all volumes of a
    side share it: ``sub-01/anat/t1.nii`` and ``sub-01.nii``, ``p0_ct.nii`` and ``p0_sct.nii``.
    """
    parts = {label: [_parts(file) for file in mine] for label, mine in files.items()}
    known = set[str].intersection(*({part for one in mine for part in one} for mine in parts.values()))
    for mine in parts.values():
        if len(mine) > 1:
            known -= set[str].intersection(*mine)
    for label, volumes in files.items():
        for file, its in zip(volumes, parts[label]):
            words[f"{label}/{file.name}"] |= {f"name {part}" for part in its & known}


def _parts(file: VolumeFile) -> set[str]:
    """A volume's folders and its own name, without what says which kind of volume it is."""
    found = set()
    for part in PurePosixPath(volume_stem(file).lower()).parts:
        tokens = [token for token in re.split(r"[^a-z0-9]+", part) if token and token not in _KINDS]
        if tokens:
            found.add("-".join(tokens))
    return found


def _named(case: Case, patients: Mapping[str, str]) -> Case:
    return replace(case, patient=patients[_volume_of(case)])


def _by_volume(cases: Sequence[Case]) -> list[list[Case]]:
    found: dict[str, list[Case]] = {}
    for case in cases:
        found.setdefault(_volume_of(case), []).append(case)
    return list(found.values())


def _volume_of(case: Case) -> str:
    return case.name.rpartition("#")[0] or case.name
