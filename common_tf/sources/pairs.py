"""Aligned pairs: strips with the images side by side, or two folders with the same file names.

    DIR/*.png            strips of two or three equal tiles; ``order`` names them, such as MRI,CT,mask
    DIR/CT/ DIR/MRI/     folders named as the domains (or A/ and B/), same file names in both; perhaps mask/

Either form may stand under DIR/train, DIR/val and DIR/test, with sub-folders where people have them. `patients.csv`
says which slices are of one patient (see `common_tf.sources.patients`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.head import head_mask
from common_tf.pictures.masks import MaskValues, mask_notes, read_mask
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import BadPicture, FileFacts, read_file
from common_tf.sources.folders import nothing_here
from common_tf.sources.listing import Listing, by_stem, folders_finding, list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import SPLIT_FOLDERS, Case, Loaded, Source, listed
from common_tf.splits.finding import Finding

MASK = "mask"
DEFAULT_ORDER = "MRI,CT,mask"


def holds_pairs(root: Path, domains: Sequence[str]) -> bool:
    """Whether a folder looks like aligned pairs: folders named as the domains, or picture files, also under train/."""
    if not Path(root).is_dir():
        return False
    places = [place for _, place in _places(root)]
    return any(_domain_folders(place, domains) or list_pictures(place, recursive=False).paths for place in places)


def split_place(root: Path, split: str) -> Path | None:
    """The folder of a split: below a folder of pairs, or beside it where it is itself that of a split."""
    root = Path(root)
    for parent in (root, root.parent if root.name.lower() in SPLIT_FOLDERS else None):
        for item in sorted(parent.iterdir()) if parent is not None and parent.is_dir() else ():
            if item.is_dir() and SPLIT_FOLDERS.get(item.name.lower()) == split:
                return item
    return None


def pair_source(root: Path, *, domains: Sequence[str], order: str = DEFAULT_ORDER) -> Source:
    """Lists aligned pairs.

    Args:
        root: see the module.
        domains: names of domain A and B; the labels.
        order: names of a strip's tiles, from the left.

    Raises:
        UserError: no pairs, partners that are missing or double, an order that does not name the domains.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give one with pairs (strips, or a folder for each domain)")
    cases: list[Case] = []
    findings: list[Finding] = []
    read, strips = [], 0
    for given, place in _places(root):
        sides = _domain_folders(place, domains)
        read.append(place)
        if sides:
            found, listings = _from_folders(root, sides, domains, given)
            findings += folders_finding(place, list(sides.values()))
        else:
            found, listings = _from_strips(root, place, domains, order, given)
            strips += len(found)
        cases += found
        findings += others_finding(listings, place.name)
    if not cases:
        raise UserError(
            f"{root}: no pairs; strips with {order} side by side are wanted, or folders {domains[0]}/ and "
            f"{domains[1]}/ with the same file names; {nothing_here([list_pictures(root)])}"
        )
    if strips:
        text = f"strips are read from the left as {', '.join(_names(order, domains))}; --set pair_order= says otherwise"
        findings.insert(0, Finding("note", "strips", text, strips))
    if root not in read:
        findings += folders_finding(root, read)
    cases, who = with_patients(root, cases)
    return Source("pairs", root, cases, [*findings, *who])


def paired_folders(sides: Mapping[str, Path]) -> Source:
    """Lists aligned pictures of folders that may lie anywhere, each with the same file names.

    Args:
        sides: folder by label.

    Raises:
        UserError: no such folder, no pictures, partners that are missing or double.
    """
    for folder in sides.values():
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder")
    places = {label: folder.resolve() for label, folder in sides.items()}
    root = Path(os.path.commonpath(list(places.values())))
    cases, listings = _from_folders(root, places, list(places), "test")
    if not cases:
        raise UserError(f"{next(iter(sides.values()))}: {nothing_here(listings)}")
    names = " and ".join(folder.name for folder in sides.values())
    findings = others_finding(listings, names)
    cases, who = with_patients(next(iter(places.values())), cases, above=root)
    findings += who
    return Source("pairs", root, cases, findings)


def _places(root: Path) -> list[tuple[str, Path]]:
    found = [
        (SPLIT_FOLDERS[item.name.lower()], item)
        for item in sorted(root.iterdir())
        if item.is_dir() and item.name.lower() in SPLIT_FOLDERS
    ]
    return found or [("", root)]


def _domain_folders(place: Path, domains: Sequence[str]) -> dict[str, Path]:
    for first, second in (domains, ("A", "B")):
        if (place / first).is_dir() and (place / second).is_dir():
            found = {domains[0]: place / first, domains[1]: place / second}
            return {**found, MASK: place / MASK} if (place / MASK).is_dir() else found
    return {}


def _from_folders(
    root: Path, sides: Mapping[str, Path], domains: Sequence[str], given: str
) -> tuple[list, list[Listing]]:
    listings = {side: list_pictures(folder) for side, folder in sides.items()}
    parent = Path(os.path.commonpath([sides[domain] for domain in domains]))
    files: dict[str, dict[str, Path]] = {}
    for side, folder in sides.items():
        files[side] = by_stem(folder, listings[side].paths)
    wanted = [set(files[domain]) for domain in domains]
    alone = sorted(set.symmetric_difference(*wanted)) + sorted(set(files.get(MASK, {})) - set().union(*wanted))
    if alone:
        raise UserError(f"{parent}: {len(alone)} images have no partner of the same name ({listed(alone)})")
    cases = []
    for stem in sorted(wanted[0]):
        paths = {domain: files[domain][stem] for domain in domains}
        mask = files.get(MASK, {}).get(stem)
        name = (PurePosixPath(parent.relative_to(root).as_posix()) / stem).as_posix()
        cases.append(
            Case(
                name=name,
                files={domain: path.relative_to(root).as_posix() for domain, path in paths.items()},
                given_split=given,
                load=partial(_load_files, paths, mask, wanted=MASK in sides),
                paths=paths,
                extra=() if mask is None else (mask,),
            )
        )
    return cases, list(listings.values())


def _from_strips(root: Path, place: Path, domains: Sequence[str], order: str, given: str) -> tuple[list, list[Listing]]:
    names = _names(order, domains)
    listing = list_pictures(place)
    cases = []
    for path in listing.paths:
        name = path.relative_to(root).as_posix()
        cases.append(
            Case(
                name=name,
                files=dict.fromkeys(domains, name),
                given_split=given,
                load=partial(_load_strip, path, names, domains),
                paths=dict.fromkeys(domains, path),
                reading=",".join(names),
            )
        )
    return cases, [listing]


def _names(order: str, domains: Sequence[str]) -> list[str]:
    names = [name.strip() for name in order.split(",")]
    if len(set(names)) != len(names) or set(names) - {MASK} != set(domains):
        raise UserError(f"--set pair_order={order}: wants {domains[0]} and {domains[1]} once each, and perhaps {MASK}")
    return names


def _load_files(paths: Mapping[str, Path], mask: Path | None, *, wanted: bool) -> Loaded:
    pictures, facts = {}, {}
    for domain, path in paths.items():
        pictures[domain], facts[domain] = _read_as(domain, path)
    known = None if mask is None else read_mask(_read_as(MASK, mask, may_be_constant=True)[0].pixels)
    return _aligned(pictures, facts, known, wanted=wanted)


def _read_as(what: str, path: Path, **options: bool) -> tuple[Picture, FileFacts]:
    try:
        return read_file(path, **options)
    except BadPicture as error:  # a case has several files: say which
        raise BadPicture(f"its {what} {path.name}: {error}") from error


def _load_strip(path: Path, names: Sequence[str], domains: Sequence[str]) -> Loaded:
    strip, facts = read_file(path)
    height, width = strip.pixels.shape
    counts = [count for count in (2, 3) if set(domains) <= set(names[:count]) and count <= len(names)]
    exact = [count for count in counts if width == count * height]
    close = [count for count in counts if width % count == 0 and 0.75 <= width / count / height <= 1.25]
    if len(exact or close) != 1:
        several = f"could be {' or '.join(map(str, close))} tiles" if close else f"are no strip of {','.join(names)}"
        raise BadPicture(
            f"{width}x{height} pixels {several}, equal and about square; --set pair_order= names them, and unaligned "
            "images go into trainA/ and trainB/ instead"
        )
    tiles = (exact or close)[0]
    parts = dict(zip(names, np.split(strip.pixels, tiles, axis=1)))
    pictures, own = {}, {}
    for domain in domains:
        pixels = np.ascontiguousarray(parts[domain])
        if pixels.min() == pixels.max():
            raise BadPicture(f"its tile {domain} is constant (every pixel is {pixels.flat[0]})")
        pictures[domain] = Picture(pixels, strip.low, strip.high)
        own[domain] = replace(
            facts, height=height, width=pixels.shape[1], smallest=int(pixels.min()), largest=int(pixels.max())
        )
    return _aligned(pictures, own, read_mask(parts[MASK]) if MASK in parts else None, wanted=MASK in names)


def _aligned(
    pictures: Mapping[str, Picture], facts: Mapping[str, FileFacts], mask: MaskValues | None, *, wanted: bool
) -> Loaded:
    shapes = {picture.pixels.shape for picture in pictures.values()}
    if mask is not None:
        shapes.add(mask.inside.shape)
    if len(shapes) > 1:
        sizes = ", ".join(f"{width}x{height}" for height, width in sorted(shapes))
        raise BadPicture(f"a pair and its mask must have one size, found {sizes}; resize them alike")
    if mask is not None and mask.inside.any():
        head = mask.inside
    else:
        # Of both images: the dark rim of one is tissue in the other.
        head = np.any([head_mask(picture.spread().scaled()) for picture in pictures.values()], axis=0)
    notes: tuple[str, ...] = mask_notes(mask) if mask is not None else ()
    if wanted and (mask is None or not mask.inside.any()):
        notes = (f"{'no' if mask is None else 'an empty'} mask, so their head is found",)
    known = {
        name: Picture(picture.pixels, picture.low, picture.high, picture.physical_unit, picture.spacing, head)
        for name, picture in pictures.items()
    }
    return Loaded(known, facts, notes=notes)
