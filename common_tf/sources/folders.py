"""Two domains in folders: trainA/ trainB/ [valA/ valB/] [testA/ testB/], with sub-folders where people have them; of
pictures, or of volumes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from common_tf.errors import UserError
from common_tf.files import every_file, place_in
from common_tf.garbage import without_collecting
from common_tf.pictures.readers import extensions, read_file
from common_tf.sources.listing import Listing, folders_finding, list_pictures, others_finding
from common_tf.sources.patients import with_patients
from common_tf.sources.source import SPLIT_FOLDERS, Case, Loaded, Source
from common_tf.sources.volumes import volume_cases
from common_tf.splits.finding import Finding
from common_tf.volumes.files import VolumeListing, list_volumes
from common_tf.volumes.slices import EVERY_AXIAL, Slicing


def is_two_domains(root: Path) -> bool:
    """Whether a folder has trainA/ or trainB/."""
    return (root / "trainA").is_dir() or (root / "trainB").is_dir()


def folder_source(
    root: Path,
    *,
    domains: Sequence[str],
    needs_training: bool = True,
    windows: Mapping[str, tuple[float, float]] | None = None,
    slicing: Slicing = EVERY_AXIAL,
) -> Source:
    """Lists two unpaired domains, of picture files or of volumes.

    Args:
        root: the folder with trainA/ and trainB/.
        domains: names of A and B; the labels.
        needs_training: without, the folders of another split are enough.
        windows: values of volumes that are black and white, by domain.
        slicing: of volumes.

    Raises:
        UserError: missing or empty training folders, or one with pictures and volumes.
    """
    root = existing_folder(root)
    cases: list[Case] = []
    findings: list[Finding] = []
    read = []
    for letter, domain in zip("AB", domains):
        places = [
            (place, SPLIT_FOLDERS[place.name[:-1].lower()])
            for place in sorted(root.iterdir())
            if place.is_dir() and place.name.endswith(letter) and place.name[:-1].lower() in SPLIT_FOLDERS
        ]
        training = root / f"train{letter}"
        wanted = [place for place, split in places if split == "train" or not needs_training]
        if not wanted:
            raise UserError(
                f"{root}: no folder train{letter}; a data set has trainA/ ({domains[0]}) and trainB/ ({domains[1]}), "
                "and may have testA/ and testB/"
            )
        read += [place for place, _ in places]
        files = {place: every_file(place) for place, _ in places}
        volumes = {place: _volumes(place, files[place]) for place, _ in places}
        if any(volumes[place].volumes for place in wanted):
            window = (windows or {}).get(domain)
            for place, split in places:
                found, said = volume_cases(
                    volumes[place].volumes,
                    place,
                    root,
                    label=domain,
                    domain=domain,
                    given_split=split,
                    window=window,
                    slicing=slicing,
                )
                cases += found
                findings += said
                notes = volumes[place].notes
                findings += [Finding("note", "volumes", f"{domain}: {note}", 0) for note in notes]
            findings += others_finding([Listing((), one.others) for one in volumes.values()], domain)
            continue
        listings = {place: list_pictures(place, files=files[place]) for place, _ in places}
        if not any(listings[place].paths for place in wanted):
            where = training if needs_training else root
            raise UserError(f"{where}: {nothing_here([listings[place] for place in wanted])}")
        findings += others_finding(list(listings.values()), domain)
        for place, split in places:
            cases += picture_cases(listings[place].paths, root, label=domain, given_split=split)
    cases, who = with_patients(root, cases)
    return Source("folders", root, cases, [*findings, *folders_finding(root, read), *who])


def _volumes(place: Path, files: Sequence[Path]) -> VolumeListing:
    listing = list_volumes(place, files=files)
    listing.refuse_pictures(str(place))
    return listing


def existing_folder(root: Path) -> Path:
    """The folder.

    Raises:
        UserError: it is none.
    """
    if not Path(root).is_dir():
        raise UserError(f"{root}: no such folder")
    return Path(root)


@without_collecting()
def picture_cases(paths: Sequence[Path], root: Path, *, label: str, given_split: str) -> list[Case]:
    """A case for each picture file.

    Args:
        paths: of the files, below the root.
        root: of the source.
        label: of the cases.
        given_split: as the folder says.
    """
    return [single_case(path, root, label=label, given_split=given_split) for path in paths]


def single_case(path: Path, root: Path, *, label: str, given_split: str) -> Case:
    """A case of one file; see `picture_cases`."""
    name = place_in(root, path)

    def load() -> Loaded:
        picture, facts = read_file(path)
        return Loaded({label: picture}, {label: facts})

    return Case(name, {label: name}, given_split, load, {label: path})


def nothing_here(listings: Sequence[Listing]) -> str:
    """Says that a folder has no picture files, and what it has."""
    other = "; ".join(filter(None, (listing.words() for listing in listings)))
    return f"no image files ({', '.join(extensions())}) in it" + (f", but {other}" if other else "")
