"""TIFF of one page, 8 or 16 bits without sign."""

import io

from PIL import Image

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import FileFacts
from common_tf.pictures.readers._pillow import read_with_pillow

EXTENSIONS = (".tif", ".tiff")
_BITS_PER_SAMPLE = 258


def recognises(content: bytes) -> bool:
    """Whether the bytes begin as a TIFF does, of either byte order."""
    return content[:4] in (b"II*\x00", b"MM\x00*")


def read(content: bytes) -> tuple[Picture, FileFacts]:
    """Decodes it."""
    return read_with_pillow(content, format="TIFF", deep=_bits(content) == 16)


def _bits(content: bytes) -> int:
    try:
        with Image.open(io.BytesIO(content)) as image:
            return max(image.tag_v2.get(_BITS_PER_SAMPLE, (1,)))  # type: ignore[attr-defined]
    except Exception:  # the reader proper says what is wrong with it
        return 8
