"""The two sides as pictures: their files, and where black and white lie for both."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation, learn_preparation
from common_tf.pictures.readers import FileFacts
from common_tf.sources.folders import nothing_here, picture_cases
from common_tf.sources.listing import list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import Case, Source

REAL, FAKE = "real", "fake"


def picture_source(folders: Mapping[str, Path]) -> Source:
    """The pictures of both sides as cases.

    Args:
        folders: by side.

    Raises:
        UserError: a folder without pictures.
    """
    cases: list[Case] = []
    findings = []
    for label, folder in folders.items():
        listing = list_pictures(folder)
        if not listing.paths:
            raise UserError(f"--{label} {folder}: {nothing_here([listing])}")
        mine = picture_cases(listing.paths, folder, label=label, given_split="test")
        mine, who = with_patients(folder, mine, above=folder_above(folders))
        cases += [of_side(case, label) for case in mine]
        findings += [*who, *others_finding([listing], label)]
    return Source("folders", folders[REAL], cases, findings)


def folder_above(folders: Mapping[str, Path]) -> Path:
    """The folder that holds both sides, by the names that they were given by."""
    return Path(os.path.commonpath([os.path.abspath(one) for one in folders.values()]))


def of_side(case: Case, label: str) -> Case:
    """The case by a name that tells its side: two folders may hold the same names."""
    return replace(case, name=f"{label}/{case.name}", files={label: f"{label}/{case.files[label]}"})


def common_preparations(
    facts: Mapping[str, Iterable[FileFacts]], windows: Mapping[str, tuple[float, float]]
) -> tuple[dict[str, Preparation], list[str]]:
    """Whole pictures of either side. Deep files of both share one scale: a side that is darker stays darker.

    Args:
        facts: of the files of each side.
        windows: black and white that the user gave, by side.

    Returns:
        The preparations by side, and what is to be said of them.

    Raises:
        UserError: deep files whose black cannot be known, a window for one of two deep sides.
    """
    mine = {label: list(some) for label, some in facts.items()}
    alone = [label for label, some in mine.items() if label not in windows and any(one.is_deep for one in some)]
    if windows and alone:
        raise UserError(f"--window: names one side, and {alone[0]} has 16 bits too; name black and white of both")
    unnamed = [one for label, some in mine.items() if label not in windows for one in some]
    found = {
        label: learn_preparation(framing="whole", extents=(), facts=unnamed, name=label, window=windows.get(label))
        for label in mine
    }
    deep = {label: any(one.is_deep for one in some) for label, some in mine.items() if label not in windows}
    if len(set(deep.values())) < 2:
        return found, []
    which = next(label for label, is_deep in deep.items() if is_deep)
    low, high = found[which].low, found[which].high
    return found, [
        f"the {which} pictures have 16 bits and the others 8: {low:g} and {high:g} of the one are taken for 0 and 255 "
        f"of the other; --window {which}=BLACK:WHITE says otherwise"
    ]
