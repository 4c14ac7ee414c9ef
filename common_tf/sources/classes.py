"""Class folders, perhaps under Training/ and Testing/ (or train/, val/, test/): one folder a class."""

from collections.abc import Sequence
from pathlib import Path

from common_tf.errors import UserError
from common_tf.pictures.readers import extensions
from common_tf.sources.folders import existing_folder, picture_cases
from common_tf.sources.listing import Listing, folders_finding, list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import SPLIT_FOLDERS, Case, Source
from common_tf.splits.finding import Finding

_POSITIVE_NAMES = ("yes", "tumor", "tumour", "lesion", "positive", "abnormal")


def class_source(root: Path) -> Source:
    """Lists class folders.

    Args:
        root: holds the class folders, or folders of splits that do.

    Raises:
        UserError: no class folders, fewer than two classes, or classes that differ between the folders of the splits.
    """
    root = existing_folder(root)
    cases: list[Case] = []
    listings: list[Listing] = []
    findings: list[Finding] = []
    by_split: dict[Path, set[str]] = {}
    for given, place in _roots(root):
        folders = sorted(item for item in place.iterdir() if item.is_dir() and not item.name.startswith("."))
        found = {folder: list_pictures(folder) for folder in folders}
        listings += found.values()
        by_split[place] = {folder.name for folder, listing in found.items() if listing.paths}
        for folder, listing in found.items():
            cases += picture_cases(listing.paths, root, label=folder.name, given_split=given)
        findings += folders_finding(place, [folder for folder, listing in found.items() if listing.paths])
    names = sorted({case.labels[0] for case in cases})
    if len(names) < 2:
        raise UserError(
            f"{root}: a folder with images ({', '.join(extensions())}) for each of two or more classes is wanted, "
            f"found {len(names)}; the classes may stand under Training/ and Testing/"
        )
    findings += others_finding(listings, root.name) + _compare(by_split, names)
    if root not in by_split:
        findings += folders_finding(root, list(by_split))
    cases, who = with_patients(root, cases)
    return Source("classes", root, cases, [*findings, *who])


def ordered_classes(names: Sequence[str], *, positive: str) -> tuple[str, ...]:
    """The class names by number; with two the second is the positive one.

    Args:
        names: sorted.
        positive: the positive one of two; ``""`` to tell it by its name (yes, tumor, lesion, ...).

    Raises:
        UserError: no such class, or none that can be told.
    """
    if positive and positive not in names:
        raise UserError(f"--set positive={positive}: no such class; there are {', '.join(names)}")
    if len(names) > 2:
        if positive:
            raise UserError(f"--set positive={positive}: does nothing with {len(names)} classes")
        return tuple(names)
    guesses = [name for name in names if name.lower() in _POSITIVE_NAMES]
    chosen = positive or (guesses[0] if len(guesses) == 1 else "")
    if not chosen:
        raise UserError(f"classes {', '.join(names)}: which one is positive? say --set positive=NAME")
    return tuple([name for name in names if name != chosen] + [chosen])


def _roots(root: Path) -> list[tuple[str, Path]]:
    """Pairs of given split and folder: Training/, Testing/ where they are, else the data folder itself."""
    found = [
        (SPLIT_FOLDERS[folder.name.lower()], folder)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and folder.name.lower() in SPLIT_FOLDERS
    ]
    if found and not any(given == "train" for given, _ in found):
        raise UserError(f"{root}: has {found[0][1].name}/ but no Training/ or train/ beside it")
    return found or [("", root)]


def _compare(by_split: dict[Path, set[str]], names: Sequence[str]) -> list[Finding]:
    """Classes must be named alike in all folders of splits; a class that one of them lacks is a warning."""
    training = next((place for place in by_split if SPLIT_FOLDERS.get(place.name.lower()) == "train"), None)
    findings: list[Finding] = []
    if training is None:
        return findings
    for place, mine in by_split.items():
        new, missing = sorted(mine - by_split[training]), sorted(by_split[training] - mine)
        if new:
            lacking = f"; {training.name}/ has {', '.join(missing)}, which {place.name}/ has not" if missing else ""
            raise UserError(
                f"{place.name}/ has {', '.join(new)}, which {training.name}/ has not{lacking}; name the folders alike"
            )
        if missing:
            text = (
                f"{len(missing)} of {len(names)} classes have no images in {place.name}/, so neither an AUC nor a "
                "balanced accuracy can be given for it"
            )
            findings.append(Finding("warning", "classes", text, len(missing), tuple(missing)))
    return findings
