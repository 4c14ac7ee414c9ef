"""BMP."""

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import FileFacts
from common_tf.pictures.readers._pillow import read_with_pillow

EXTENSIONS = (".bmp",)


def recognises(content: bytes) -> bool:
    """Whether the bytes begin as a BMP does."""
    return content.startswith(b"BM")


def read(content: bytes) -> tuple[Picture, FileFacts]:
    """Decodes it."""
    return read_with_pillow(content, format="BMP", deep=False)
