"""What is dropped: files and archives, into a folder that nothing leaves and that cannot grow beyond a limit."""

import lzma
import shutil
import stat
import unicodedata
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from common_tf.errors import UserError
from common_tf.volumes.volume import one_line

_CHUNK = 1 << 20
_MOST_FILES = 20_000
_LONGEST = 200
_DAMAGED = (
    zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error, lzma.LZMAError,
)  # fmt: skip


class Dropped:
    """The files of one drop.

    Args:
        folder: where to; empty.
        limit: bytes of all files together, as unpacked.
    """

    def __init__(self, folder: Path, *, limit: int):
        self._folder, self._limit = folder, limit
        self._bytes = 0
        self.names: list[str] = []

    def add(self, name: str, stream: BinaryIO, *, is_alone: bool = True) -> None:
        """Stores a file under its name, or an archive's files under theirs.

        Hidden files, which no script reads, are left out.

        Args:
            name: with the folders that it was dropped with; separated by ``/`` or a backslash.
            stream: its content.
            is_alone: nothing else is dropped; else an archive's files go into a folder of its name.

        Raises:
            UserError: a name that leads out of the folder, a damaged archive, more than the limit.
        """
        place = _inside(name)
        if place.suffix.lower() == ".zip":
            self._unpack(place.name, stream, PurePosixPath() if is_alone else place.with_suffix(""))
        elif not place.name.startswith("."):
            self._store(place, stream)

    def _unpack(self, name: str, stream: BinaryIO, below: PurePosixPath) -> None:
        try:
            with zipfile.ZipFile(stream) as archive:
                entries = [entry for entry in archive.infolist() if not entry.is_dir()]
                if sum(entry.file_size for entry in entries) > self._limit - self._bytes:
                    raise UserError(
                        f"{name}: unpacks to more than {self._limit >> 20} MB; --largest MB raises the limit"
                    )
                for entry in entries:
                    if stat.S_ISLNK(entry.external_attr >> 16):
                        raise UserError(f"{name}: {entry.filename}: is a link; put the files themselves in")
                    place = _inside(entry.filename)
                    if place.parts[0] == "__MACOSX" or place.name.startswith("."):
                        continue
                    with archive.open(entry) as content:
                        self._store(below / place, content)
        except _DAMAGED as error:
            if isinstance(error, OSError) and error.errno:
                raise  # of the disk, not of the archive
            raise UserError(f"{name}: no archive that can be unpacked ({one_line(error)})") from error

    def _store(self, place: PurePosixPath, stream) -> None:
        if len(self.names) >= _MOST_FILES:
            raise UserError(f"more than {_MOST_FILES} files; drop fewer at once")
        target = self._folder / place
        if target.exists():
            raise UserError(f"{place}: dropped twice; give files of one name in folders of their own")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "wb") as file:
                while part := stream.read(_CHUNK):
                    self._bytes += len(part)
                    if self._bytes > self._limit:
                        raise UserError(f"more than {self._limit >> 20} MB; --largest MB raises the limit")
                    file.write(part)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise UserError(f"{place}: is a file and a folder in one drop") from error
        self.names.append(str(place))


def _inside(name: str) -> PurePosixPath:
    """A place below a folder.

    Raises:
        UserError: it leads elsewhere, or cannot be a name.
    """
    place = PurePosixPath(name.replace("\\", "/"))
    parts = place.parts
    if not parts or place.is_absolute() or ".." in parts or ":" in parts[0] or any(_is_no_name(part) for part in parts):
        raise UserError(f"{name[:80]!r}: not a name that a dropped file may have")
    return place


def _is_no_name(part: str) -> bool:
    if any(unicodedata.category(one) in ("Cc", "Cs") for one in part):
        return True
    return len(part.encode()) > _LONGEST


def clear(folder: Path) -> None:
    """Removes the folder of a drop that was refused."""
    shutil.rmtree(folder, ignore_errors=True)
