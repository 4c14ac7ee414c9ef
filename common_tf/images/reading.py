"""PNG and JPEG files as one-channel arrays, with what the file itself says about them."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np
from PIL import Image, ImageOps

from common_tf.errors import UserError

EXTENSIONS = (".png", ".jpg", ".jpeg")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, the weights that Pillow and OpenCV use


class BadImage(UserError):
    """A file that cannot be used as an image; the message is the reason, without the file's name."""


@dataclass(frozen=True)
class ImageData:
    """One decoded image.

    Attributes:
        pixels: ``(height, width)``, uint8 or uint16, as stored; colour is reduced to luma, transparency to black.
        bits: 8 or 16, the depth of one stored sample.
        mode: how the file stores its pixels: ``L``, ``RGB``, ``RGBA``, ``P``, ...
        format: ``PNG`` or ``JPEG``, by content and not by name.
        head: ``(height, width)`` bool where the data set says what is head; ``None`` where it is to be found.
    """

    pixels: np.ndarray
    bits: int
    mode: str
    format: str
    head: Optional[np.ndarray] = None

    @property
    def pixels_8_bit(self) -> np.ndarray:
        """The pixels as an 8-bit file would hold them, uint8."""
        return self.pixels if self.bits == 8 else (self.pixels // 257).astype(np.uint8)

    @property
    def maximum(self) -> int:
        """The largest value that the stored depth can hold."""
        return 2**self.bits - 1


def image_paths(folder: Path) -> list:
    """The image files directly inside a folder, by extension, sorted by name; hidden files are left out."""
    return sorted(
        path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".")
    )


def read_image(path: Path) -> ImageData:
    """Reads a PNG or JPEG file, whatever its name says.

    Raises:
        BadImage: the file is empty, truncated, no image, of another format, or constant.
    """
    return decode_image(Path(path).read_bytes())


def read_colour(path: Path) -> np.ndarray:
    """Reads a PNG, JPEG or TIFF file as ``(height, width, 3)`` uint8 RGB; for files whose channels are images of
    their own.

    Raises:
        BadImage: the file is truncated, no image, or not of 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode not in ("L", "RGB", "RGBA", "P", "1"):
                raise BadImage(f"pixels of mode {image.mode}; 8 bits a channel are wanted")
            return np.array(image.convert("RGB"))
    except BadImage:
        raise
    except Exception as error:
        raise BadImage(f"not an image, or truncated ({error})") from error


def decode_image(content: bytes) -> ImageData:
    """Decodes the bytes of a PNG or JPEG file; see `read_image`."""
    if not content:
        raise BadImage("the file is empty")
    try:
        image = Image.open(io.BytesIO(content))
    except Exception as error:
        raise BadImage("not an image") from error
    if image.format not in ("PNG", "JPEG"):
        raise BadImage(f"a {image.format} file; PNG or JPEG is wanted")
    mode = image.mode
    try:
        image.load()  # Pillow refuses a truncated file here, where OpenCV would fill the rest with gray
    except Exception as error:
        raise BadImage(f"truncated or corrupt ({error})") from error
    deep = content.startswith(_PNG_SIGNATURE) and content[24] == 16
    pixels = _decode_16_bit(content) if deep else _gray_8_bit(ImageOps.exif_transpose(image))
    if pixels.min() == pixels.max():
        raise BadImage(f"constant (every pixel is {pixels.flat[0]})")
    return ImageData(pixels=pixels, bits=16 if deep else 8, mode=mode, format=image.format)


def _gray_8_bit(image: Image.Image) -> np.ndarray:
    if image.mode in ("L", "RGB", "CMYK", "YCbCr"):
        return np.array(image.convert("L"))
    colour = np.array(image.convert("RGBA")).astype(np.float64)
    return np.round(colour[..., :3] @ _LUMA * colour[..., 3] / 255).astype(np.uint8)


def _decode_16_bit(content: bytes) -> np.ndarray:
    # Pillow reduces 16-bit colour to 8 bits without a word; OpenCV keeps the depth (channels as BGR or BGRA).
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise BadImage("a 16-bit PNG that cannot be decoded")
    if pixels.ndim == 2:
        return pixels
    colour = pixels.astype(np.float64)
    gray = colour[..., 2::-1] @ _LUMA
    if pixels.shape[-1] == 4:
        gray *= colour[..., 3] / 65535
    return np.round(gray).astype(np.uint16)
