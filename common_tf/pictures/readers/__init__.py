"""Readers of picture files, one a file, chosen by what a file holds and not by its name.

A reader has ``EXTENSIONS`` (by which folders are listed), ``recognises(content) -> bool`` and ``read(content) ->
(Picture, FileFacts)``. A file that is added here is used by every script.
"""

import sys
from functools import cache
from pathlib import Path
from types import ModuleType

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import VOLUME_BITS, BadPicture, FileFacts
from common_tf.pictures.readers._pillow import read_planes
from common_tf.plugins import plugins

__all__ = ["VOLUME_BITS", "BadPicture", "FileFacts", "decode", "extensions", "read_file", "read_picture", "read_planes"]


@cache
def _readers() -> tuple[ModuleType, ...]:
    return tuple(plugins(sys.modules[__name__]).values())


@cache
def extensions() -> tuple[str, ...]:
    """The file name endings that some reader reads, in lower case."""
    return tuple(ending for reader in _readers() for ending in reader.EXTENSIONS)


def read_picture(path: Path) -> Picture:
    """Reads a file, whatever its name says; black and white are the ends of what its depth can hold.

    Raises:
        BadPicture: the file is empty, truncated, no image, of an unknown format, too large, or constant.
    """
    return read_file(path)[0]


def read_file(path: Path, *, may_be_constant: bool = False) -> tuple[Picture, FileFacts]:
    """`read_picture`, and what the file says of itself.

    Args:
        path: of the file.
        may_be_constant: as a mask may be, and no slice.
    """
    try:
        return decode(Path(path).read_bytes(), may_be_constant=may_be_constant)
    except OSError as error:
        raise BadPicture(f"cannot be read ({error.strerror})") from error


def decode(content: bytes, *, may_be_constant: bool = False) -> tuple[Picture, FileFacts]:
    """Decodes the bytes of a file; see `read_file`."""
    if not content:
        raise BadPicture("the file is empty")
    for reader in _readers():
        if reader.recognises(content):
            picture, facts = reader.read(content)
            if facts.smallest == facts.largest and not may_be_constant:
                raise BadPicture(f"constant (every pixel is {facts.largest})")
            return picture, facts
    raise BadPicture(f"not an image of a known format ({', '.join(extensions())})")
