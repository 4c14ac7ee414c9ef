"""The picture files of a folder and everything below it; what is not read is counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common_tf.errors import UserError
from common_tf.files import place_in, visible_files
from common_tf.garbage import without_collecting
from common_tf.pictures.readers import extensions
from common_tf.sources.source import listed
from common_tf.splits.finding import Finding

SHEET_FILE, TABLE_FILE = "contact_sheet.png", "synthetic.csv"
"""What lies beside translated pictures: an overview of them, which is no slice, and their table."""

EXPECTED = ("patients.csv", TABLE_FILE)
"""Names of files that are no pictures, and of which nothing needs to be said."""


@dataclass(frozen=True)
class Listing:
    """Files of a folder.

    Attributes:
        paths: picture files, sorted by their names.
        others: how many other files there are, by ending.
    """

    paths: Sequence[Path]
    others: Counter

    def words(self) -> str:
        """What else there is: ``6 .dcm, 2 .txt``."""
        ordered = sorted(self.others.items(), key=lambda item: (-item[1], item[0]))
        return ", ".join(f"{count} {ending or 'without an ending'}" for ending, count in ordered)


@without_collecting()
def list_pictures(folder: Path, *, recursive: bool = True, files: Sequence[Path] | None = None) -> Listing:
    """Lists picture files by their endings. Hidden files and folders are left out, and the overview beside translated
    pictures.

    Args:
        folder: that exists.
        recursive: look into sub-folders too.
        files: that `visible_files` found in it, where somebody has asked.

    Raises:
        UserError: a folder that may not be read.
    """
    known, others = extensions(), Counter[str]()
    paths: list[Path] = []
    for path in visible_files(folder, recursive=recursive) if files is None else files:
        ending = path.suffix.lower()
        if path.name == SHEET_FILE and (path.parent / TABLE_FILE).is_file():
            continue
        if ending in known:
            paths.append(path)
        elif path.name not in EXPECTED:
            others[ending] += 1
    return Listing(sorted(paths, key=lambda path: place_in(folder, path)), others)


def by_stem(folder: Path, paths: Sequence[Path]) -> dict[str, Path]:
    """Files by their names relative to the folder, without endings.

    Raises:
        UserError: two files of one name, of which one would be lost.
    """
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    double = [path.relative_to(folder).as_posix() for same in found.values() if len(same) > 1 for path in same]
    if double:
        raise UserError(
            f"{folder}: {len(double)} files differ in nothing but their endings ({listed(double)}); leave one of each"
        )
    return {name: same[0] for name, same in found.items()}


def others_finding(listings: Sequence[Listing], where: str) -> list[Finding]:
    """A finding on what was not read; empty where everything was."""
    total = Listing((), sum((listing.others for listing in listings), Counter()))
    count = sum(total.others.values())
    if not count:
        return []
    return [Finding("warning", "not read", f"{where}: {count} other files are not read: {total.words()}", count)]


def folders_finding(root: Path, read: Sequence[Path]) -> list[Finding]:
    """What lies in the root and was not read: sub-folders, and picture files beside those that were read from."""
    findings = []
    loose = [path.name for path in list_pictures(root, recursive=False).paths] if root not in read else []
    if loose:
        text = f"{root.name}: {len(loose)} image files beside the folders are not read"
        findings.append(Finding("warning", "not read", text, len(loose), tuple(loose)))
    below = {path.relative_to(root).parts[0] for path in read if path != root}
    folders = [item.name for item in root.iterdir() if item.is_dir() and not item.name.startswith(".")]
    unread = sorted(name for name in folders if name not in below)
    if unread and root not in read:
        text = f"{root.name}: {len(unread)} folders are not read"
        findings.append(Finding("warning", "not read", text, len(unread), tuple(unread)))
    return findings
