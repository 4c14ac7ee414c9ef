"""What the readers share that decode with Pillow (8 bits) and OpenCV (deeper)."""

import io
import warnings
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from common_tf.pictures.picture import Picture
from common_tf.pictures.readers._facts import BadPicture, FileFacts

LARGEST_SIDE = 4096
"""In pixels. Larger pictures, and very long ones that would be padded to a square as large, are no slices."""

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, the weights that Pillow and OpenCV use
_OPAQUE = ("L", "RGB", "CMYK", "YCbCr")
_UNREAD = ("I", "F", "I;16", "I;16B", "I;16L")
_ORIENTATION, _PHOTOMETRIC = 274, 262

# Pillow's warnings: large pictures are refused below, by a stricter limit, and damaged EXIF says nothing. A filter that
# is set and lifted around each picture would not be safe among threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", message="Corrupt EXIF data")


def read_with_pillow(content: bytes, *, format: str, deep: bool) -> tuple[Picture, FileFacts]:
    """Decodes a file.

    Args:
        content: of the file.
        format: that it has been recognised as.
        deep: more than 8 bits a sample.

    Raises:
        BadPicture: see `common_tf.pictures.readers.read_picture`.
    """
    image = _opened(content)
    mode = image.mode
    if format == "TIFF" and _pages(image) > 1:
        raise BadPicture(f"holds {_pages(image)} pages; save each as a file")
    pixels = _decoded(image, lambda: _deep_pixels(content, image, format) if deep else _gray_8_bit(image))
    height, width = pixels.shape
    facts = FileFacts(format, mode, 16 if deep else 8, height, width, int(pixels.min()), int(pixels.max()))
    return Picture(pixels, high=65535.0 if deep else 255.0), facts


def read_planes(content: bytes) -> np.ndarray:
    """``(height, width, 3)`` uint8 RGB, for files whose channels are images of their own.

    Raises:
        BadPicture: the file is truncated, no image, or not of 8 bits a channel.
    """
    image = _opened(content)
    if image.mode not in ("L", "RGB", "RGBA", "P", "1"):
        raise BadPicture(f"pixels of mode {image.mode}; 8 bits a channel are wanted")
    return _decoded(image, lambda: np.array(image.convert("RGB")))


def _opened(content: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPicture(f"too large; at most {LARGEST_SIDE} pixels a side are read") from error
    except Exception as error:
        raise BadPicture("not an image") from error
    if max(image.size) > LARGEST_SIDE:
        raise BadPicture(f"too large, {image.width}x{image.height}; at most {LARGEST_SIDE} pixels a side are read")
    return image


def _decoded(image: Image.Image, decode: Callable[[], np.ndarray]) -> np.ndarray:
    """Pixels as EXIF's orientation wants them shown; a file that Pillow cannot read to its end is refused first."""
    try:
        image.load()  # Pillow refuses a truncated file here, where OpenCV would fill the rest with gray
        pixels = decode()
    except BadPicture:
        raise
    except Exception as error:
        raise BadPicture(f"truncated or corrupt ({error})") from error
    # Asked after loading: Pillow and OpenCV turn a TIFF themselves, and Pillow forgets its orientation then.
    return _turned(pixels, _orientation(image))


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation; 1, upright, also where EXIF is damaged: the pixels may be good all the same."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:
        return 1


def _pages(image: Image.Image) -> int:
    try:
        return getattr(image, "n_frames", 1)
    except Exception:  # a file that is cut behind its first page; loading says what is wrong with that
        return 1


def _gray_8_bit(image: Image.Image) -> np.ndarray:
    if image.mode in _OPAQUE and "transparency" not in image.info:
        return np.array(image.convert("L"))
    if image.mode in _UNREAD:
        raise BadPicture(f"pixels of mode {image.mode}; 8 or 16 bits without sign are wanted")
    colour = np.array(image.convert("RGBA")).astype(np.float64)
    return np.round(colour[..., :3] @ _LUMA * colour[..., 3] / 255).astype(np.uint8)


def _deep_pixels(content: bytes, image: Image.Image, format: str) -> np.ndarray:
    # Pillow reduces 16-bit colour to 8 bits without a word; OpenCV keeps the depth (channels as BGR or BGRA).
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None or pixels.dtype != np.uint16:
        raise BadPicture(f"a {format} of 16 bits that cannot be decoded; 16 bits without sign are wanted")
    if pixels.ndim == 2:
        gray = pixels.copy()
        if isinstance(image.info.get("transparency"), int):
            gray[pixels == image.info["transparency"]] = 0
        # Pillow does this for 8 bits, OpenCV for none.
        return 65535 - gray if format == "TIFF" and _white_is_zero(image) else gray
    colour = pixels.astype(np.float64)
    values = colour[..., 2::-1] @ _LUMA
    if pixels.shape[-1] == 4:
        values *= colour[..., 3] / 65535
    return np.round(values).astype(np.uint16)


def _white_is_zero(image: Image.Image) -> bool:
    return image.tag_v2.get(_PHOTOMETRIC) == 0  # type: ignore[attr-defined]


def _turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As EXIF's orientation wants it shown."""
    turns = {
        2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1], 5: lambda p: p.swapaxes(0, 1),
        6: lambda p: np.rot90(p, 3), 7: lambda p: p[::-1, ::-1].swapaxes(0, 1), 8: lambda p: np.rot90(p, 1),
    }  # fmt: skip
    return np.ascontiguousarray(turns[orientation](pixels)) if orientation in turns else pixels
