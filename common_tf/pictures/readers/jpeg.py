"""JPEG."""

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import FileFacts
from common_tf.pictures.readers._pillow import read_with_pillow

EXTENSIONS = (".jpg", ".jpeg")


def recognises(content: bytes) -> bool:
    """Whether the bytes begin as a JPEG does."""
    return content.startswith(b"\xff\xd8\xff")


def read(content: bytes) -> tuple[Picture, FileFacts]:
    """Decodes it."""
    return read_with_pillow(content, format="JPEG", deep=False)
