import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common_tf.pictures.readers import BadPicture, decode, extensions, read_file, read_picture, read_planes

GRADIENT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
DEEP = np.random.default_rng(0).integers(0, 65536, (6, 8), dtype=np.uint16)
_WHITE_IS_ZERO = 262


def _png(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _cv2_png(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def _tiff(array: np.ndarray, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "TIFF", **options)
    return buffer.getvalue()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _raw_png(pixels: np.ndarray, *extra: bytes, height: int = 0, width: int = 0) -> bytes:
    """A PNG by hand, gray or RGB of 8 or 16 bits, with further chunks, perhaps with a size that lies."""
    bits, colour = 8 * pixels.itemsize, 2 if pixels.ndim == 3 else 0
    size = struct.pack(">IIBBBBB", width or pixels.shape[1], height or pixels.shape[0], bits, colour, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(pixels.dtype.newbyteorder(">")).tobytes() for line in pixels)
    chunks = (_chunk(b"IHDR", size), *extra, _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_gray_rgb_palette_and_opaque_rgba_are_the_same_image():
    gray = Image.fromarray(GRADIENT)
    for image in (gray, gray.convert("RGB"), gray.convert("P"), gray.convert("RGBA"), gray.convert("LA")):
        picture, facts = decode(_png(image))
        np.testing.assert_array_equal(picture.pixels, GRADIENT)
        assert (facts.bits, facts.mode, facts.format) == (8, image.mode, "PNG")
        assert (picture.low, picture.high, facts.smallest, facts.largest) == (0, 255, 0, 220)


def test_colour_becomes_rec601_luma():
    red = np.zeros((2, 2, 3), np.uint8)
    red[0, 0] = (200, 0, 0)
    assert decode(_png(Image.fromarray(red)))[0].pixels[0, 0] == round(0.299 * 200)


def test_transparency_becomes_black():
    rgba = np.full((2, 2, 4), 200, np.uint8)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    np.testing.assert_array_equal(decode(_png(Image.fromarray(rgba)))[0].pixels[0], [0, 200])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(channels):
    deep = GRADIENT.astype(np.uint16) * 257
    stored = deep if channels == 1 else np.stack([deep] * 3 + [np.full_like(deep, 65535)] * (channels - 3), axis=-1)
    picture, facts = decode(_cv2_png(stored))
    assert facts.bits == 16 and picture.is_deep and picture.high == 65535
    np.testing.assert_array_equal(picture.pixels, deep)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("colour", [False, True])
def test_a_transparent_colour_becomes_black_at_any_depth(deep, colour):
    gray = DEEP if deep else (DEEP >> 8).astype(np.uint8)
    pixels = np.stack([gray] * 3, axis=-1) if colour else gray
    clear = int(gray[2, 3])
    picture = decode(_raw_png(pixels, _chunk(b"tRNS", struct.pack(">H", clear) * (3 if colour else 1))))[0]
    np.testing.assert_array_equal(picture.pixels, np.where(gray == clear, 0, gray))


def _oriented(array: np.ndarray, orientation: int, format: str) -> bytes:
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[274] = orientation
    Image.fromarray(array).save(buffer, format, exif=exif)
    return buffer.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_the_orientation_is_the_same_at_8_and_16_bits(orientation, format):
    small = (DEEP >> 8).astype(np.uint8)
    expected = {
        1: small, 2: small[:, ::-1], 3: small[::-1, ::-1], 4: small[::-1], 5: small.T,
        6: small[::-1].T, 7: small[::-1, ::-1].T, 8: small.T[::-1],
    }[orientation]  # fmt: skip
    picture, facts = decode(_oriented(small, orientation, format))
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (facts.height, facts.width) == expected.shape
    deep = decode(_oriented(small.astype(np.uint16) * 257, orientation, format))[0]
    np.testing.assert_array_equal(deep.pixels // 257, expected)
    planes = read_planes(_oriented(np.stack([small] * 3, axis=-1), orientation, format))
    np.testing.assert_array_equal(planes[..., 1], expected)


@pytest.mark.parametrize("junk", [b"hello", b"II*\0\x08\0\0\0\xff\xff\x12\x01junk"])
@pytest.mark.parametrize("pixels", [GRADIENT, DEEP])
def test_damaged_exif_is_no_reason_to_refuse_good_pixels(junk, pixels):
    np.testing.assert_array_equal(decode(_raw_png(pixels, _chunk(b"eXIf", junk)))[0].pixels, pixels)


@pytest.mark.parametrize("format, ending", [("BMP", ".bmp"), ("TIFF", ".tif"), ("PNG", ".png")])
def test_lossless_formats_of_8_bits(tmp_path, format, ending):
    Image.fromarray(GRADIENT).save(tmp_path / f"a{ending}")
    picture, facts = read_file(tmp_path / f"a{ending}")
    assert facts.format == format and ending in extensions()
    np.testing.assert_array_equal(picture.pixels, GRADIENT)


def test_tiff_of_16_bits_is_kept_and_white_may_be_zero_in_it():
    picture, facts = decode(_tiff(DEEP))
    assert (facts.format, facts.bits) == ("TIFF", 16)
    np.testing.assert_array_equal(picture.pixels, DEEP)
    # At 8 bits Pillow inverts such a file; 16 bits mean the same.
    np.testing.assert_array_equal(decode(_tiff(DEEP, tiffinfo={_WHITE_IS_ZERO: 0}))[0].pixels, 65535 - DEEP)


def test_content_decides_and_not_the_name(tmp_path):
    (tmp_path / "really_png.jpg").write_bytes(_png(Image.fromarray(GRADIENT)))
    assert read_file(tmp_path / "really_png.jpg")[1].format == "PNG"
    np.testing.assert_array_equal(read_picture(tmp_path / "really_png.jpg").pixels, GRADIENT)


def test_jpeg(tmp_path):
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    Image.fromarray(smooth).convert("RGB").save(tmp_path / "a.jpeg", quality=95)
    picture, facts = read_file(tmp_path / "a.jpeg")
    assert facts.format == "JPEG" and facts.mode == "RGB"
    assert np.abs(picture.pixels.astype(int) - smooth).max() <= 3


def _truncated_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()[:1500]


def _gif() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, "GIF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty"),
        (b"this is a text file", "not an image of a known format"),
        (b"BMthis is a text file", "not an image"),
        (_gif(), "not an image of a known format"),
        (_truncated_jpeg(), "truncated"),
        (_png(Image.fromarray(GRADIENT))[:40], "truncated|not an image"),
        (_tiff(DEEP)[:60], "truncated|not an image"),
        (_tiff(DEEP.astype(np.int32)), "mode I"),
        (_tiff(DEEP.astype(np.float32)), "mode F"),
        (_tiff(GRADIENT, save_all=True, append_images=[Image.fromarray(GRADIENT)]), "2 pages"),
        (_png(Image.new("L", (8, 8), 0)), "constant"),
        (_cv2_png(np.full((8, 8), 700, np.uint16)), r"constant \(every pixel is 700\)"),
    ],
)
def test_bad_files_say_why(content, reason):
    with pytest.raises(BadPicture, match=reason):
        decode(content)


SEEDS = [
    _png(Image.fromarray(GRADIENT)),
    _cv2_png(DEEP),
    _oriented(GRADIENT, 6, "JPEG"),
    _tiff(GRADIENT),
    _tiff(DEEP, compression="tiff_lzw"),
    _raw_png(np.stack([GRADIENT] * 3, axis=-1), _chunk(b"tRNS", bytes(6))),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.integers(1, 400),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_bytes_a_file_is_read_or_refused_with_a_reason(content, changes, length):
    damaged = bytearray(content[: max(length, 8)] if length < 200 else content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    for read in (decode, read_planes):
        try:
            read(bytes(damaged))
        except BadPicture as error:
            assert str(error)


def test_a_mask_may_be_constant():
    assert decode(_png(Image.new("L", (8, 8), 0)), may_be_constant=True)[1].largest == 0


@pytest.mark.parametrize("height, width", [(20, 10000), (10000, 10000), (13500, 13500)])
def test_large_pictures_are_refused_before_they_are_decoded(height, width, monkeypatch):
    """10000x20 pixels would be padded to a square; 182 megapixels are an image, and too large."""
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(BadPicture, match="too large.*at most 4096"):
        decode(_raw_png(GRADIENT, height=height, width=width))


def test_planes_of_a_colour_file_are_kept_apart():
    colour = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    np.testing.assert_array_equal(read_planes(_png(Image.fromarray(colour))), colour)
    with pytest.raises(BadPicture, match="8 bits a channel"):
        read_planes(_cv2_png(DEEP))


def test_a_file_that_cannot_be_opened_says_why(tmp_path):
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
    with pytest.raises(BadPicture, match="No such file"):
        read_file(tmp_path / "broken.png")
