"""Files that a user hands over to be worked on: all are looked at before anything is written."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath

from common_tf.errors import UserError
from common_tf.pictures.readers import BadPicture, FileFacts, read_file
from common_tf.progress import progress
from common_tf.sources.folders import nothing_here
from common_tf.sources.listing import list_pictures, others_finding
from common_tf.sources.source import listed, shown
from common_tf.volumes.files import VolumeFile
from common_tf.volumes.volume import BadVolume, Volume


@dataclass(frozen=True)
class PictureInputs:
    """Picture files to be worked on.

    Attributes:
        paths: of them.
        root: the folder that their places are relative to.
        notes: what else was seen.
    """

    paths: Sequence[Path]
    root: Path
    notes: Sequence[str] = ()

    def place(self, path: Path) -> str:
        """A file's path relative to the root, ``/`` between parts."""
        return path.relative_to(self.root).as_posix()

    def without(self, suffix: str) -> "PictureInputs":
        """The files without those that are named after another of them, such as masks."""
        stems = {path.with_suffix("") for path in self.paths}
        own = [
            path
            for path in self.paths
            if not path.stem.endswith(suffix) or path.parent / path.stem.removesuffix(suffix) not in stems
        ]
        left = len(self.paths) - len(own)
        notes = [f"{left} *{suffix} files beside their pictures are left out"] if left else []
        return PictureInputs(own, self.root, [*self.notes, *notes])

    def facts(self) -> dict[str, FileFacts]:
        """What each file says of itself, by place. Every file is decoded for it.

        Raises:
            UserError: files that cannot be used; all of them are named.
        """
        facts, problems = {}, []
        for path in progress(self.paths, total=len(self.paths), words="looking at the files"):
            name = self.place(path)
            if shown(name) != name:
                problems.append(f"{shown(name)}: its name is not valid UTF-8; rename it")
                continue
            try:
                facts[name] = read_file(path, may_be_constant=True)[1]
            except BadPicture as error:
                problems.append(f"{name}: {error}")
        if problems:
            raise UserError(f"{len(problems)} input files cannot be used ({listed(problems)}); remove or mend them")
        return facts

    def output_names(self, *, suffix: str = "", taken: Collection[str] = ()) -> dict[Path, str]:
        """``NAME.png`` in each input's place; the full name and then a number where that is taken, also by case alone.

        Args:
            suffix: stands between the name and its ending.
            taken: names that the output has already.
        """
        used = {name.lower() for name in taken}
        stems = Counter(self._stem(path) for path in self.paths)
        names = {}
        for path in self.paths:
            place = PurePosixPath(self.place(path))
            for base in _bases(place, alone=stems[self._stem(path)] == 1):
                name = str(place.with_name(f"{base}{suffix}.png"))
                if name.lower() not in used:
                    break
            names[path] = name
            used.add(name.lower())
        return names

    def _stem(self, path: Path) -> str:
        return path.relative_to(self.root).with_suffix("").as_posix().lower()


def _bases(place: PurePosixPath, *, alone: bool) -> Iterator[str]:
    if alone:
        yield place.stem
    yield place.name
    for number in count(2):
        yield f"{place.name}.{number}"


def picture_inputs(source: Path, *, flag: str, also: str = "") -> PictureInputs:
    """A file, or the picture files of a folder and its sub-folders.

    Args:
        source: the path.
        flag: that named it, for errors.
        also: what else is known of it, for the error that nothing is there.

    Raises:
        UserError: nothing there.
    """
    if source.is_file():
        return PictureInputs([source], source.parent)
    if not source.is_dir():
        raise UserError(f"{flag} {source}: no such file or folder")
    listing = list_pictures(source)
    if not listing.paths:
        raise UserError("; ".join(filter(None, (f"{flag} {source}: {nothing_here([listing])}", also))))
    notes = [finding.text for finding in others_finding([listing], str(source))]
    return PictureInputs(list(listing.paths), source, notes)


def refuse_unusable(files: Sequence[VolumeFile], look: Callable[[Volume], object]) -> None:
    """Reads each once, so that all that is wrong is said before anything is written.

    Args:
        files: the volumes.
        look: raises `BadVolume` for one that cannot be used.

    Raises:
        UserError: with all that is wrong.
    """
    problems = []
    for one in progress(files, total=len(files), words="looking at the volumes"):
        if shown(one.name) != one.name:
            problems.append(f"{shown(one.name)}: its name is not valid UTF-8; rename it")
            continue
        try:
            look(one.read().volume)
        except BadVolume as error:
            problems.append(str(error) if str(error).startswith(f"{one.name}:") else f"{one.name}: {error}")
    if problems:
        raise UserError(f"{len(problems)} volumes cannot be used ({listed(problems)}); remove or mend them")


def unlike_lines(unlike: Mapping[str, str]) -> list[str]:
    """What is to be said of pictures that are unlike a head; nothing where there are none.

    Args:
        unlike: by name why; see `common_tf.pictures.head.unlike_a_head`.
    """
    if not unlike:
        return []
    names = listed([f"{name}: {reason}" for name, reason in unlike.items()], most=5)
    return [f"{len(unlike)} pictures are unlike a head ({names}); what is made of them means nothing"]
