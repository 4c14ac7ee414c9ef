"""PNG, 8 or 16 bits, gray, colour, palette, with or without transparency."""

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import FileFacts
from common_tf.pictures.readers._pillow import read_with_pillow

EXTENSIONS = (".png",)
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def recognises(content: bytes) -> bool:
    """Whether the bytes begin as a PNG does."""
    return content.startswith(_SIGNATURE)


def read(content: bytes) -> tuple[Picture, FileFacts]:
    """Decodes it."""
    return read_with_pillow(content, format="PNG", deep=len(content) > 24 and content[24] == 16)
