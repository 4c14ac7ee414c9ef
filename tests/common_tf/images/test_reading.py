import io

import cv2
import numpy as np
import pytest
from PIL import Image

from common_tf.images.reading import BadImage, decode_image, image_paths, read_image

GRADIENT = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def _png(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def _cv2_png(array: np.ndarray) -> bytes:
    return cv2.imencode(".png", array)[1].tobytes()


def test_gray_rgb_palette_and_opaque_rgba_are_the_same_image():
    gray = Image.fromarray(GRADIENT)
    for image in (gray, gray.convert("RGB"), gray.convert("P"), gray.convert("RGBA"), gray.convert("LA")):
        data = decode_image(_png(image))
        np.testing.assert_array_equal(data.pixels, GRADIENT)
        assert (data.bits, data.mode, data.format, data.maximum) == (8, image.mode, "PNG", 255)


def test_colour_becomes_rec601_luma():
    red = np.zeros((2, 2, 3), np.uint8)
    red[0, 0] = (200, 0, 0)
    assert decode_image(_png(Image.fromarray(red))).pixels[0, 0] == round(0.299 * 200)


def test_transparency_becomes_black():
    rgba = np.full((2, 2, 4), 200, np.uint8)
    rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
    np.testing.assert_array_equal(decode_image(_png(Image.fromarray(rgba))).pixels[0], [0, 200])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_kept(channels):
    deep = GRADIENT.astype(np.uint16) * 257
    stored = deep if channels == 1 else np.stack([deep] * 3 + [np.full_like(deep, 65535)] * (channels - 3), axis=-1)
    data = decode_image(_cv2_png(stored))
    assert data.bits == 16 and data.pixels.dtype == np.uint16
    np.testing.assert_array_equal(data.pixels, deep)


def test_content_decides_and_not_the_name(tmp_path):
    (tmp_path / "really_png.jpg").write_bytes(_png(Image.fromarray(GRADIENT)))
    assert read_image(tmp_path / "really_png.jpg").format == "PNG"


def test_jpeg(tmp_path):
    smooth = np.tile(np.arange(64, dtype=np.uint8) * 3, (64, 1))
    Image.fromarray(smooth).convert("RGB").save(tmp_path / "a.jpeg", quality=95)
    data = read_image(tmp_path / "a.jpeg")
    assert data.format == "JPEG" and data.mode == "RGB"
    assert np.abs(data.pixels.astype(int) - smooth).max() <= 3


def _truncated_jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()[:1500]


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "empty"),
        (b"this is a text file", "not an image"),
        (_truncated_jpeg(), "truncated"),
        (_png(Image.fromarray(GRADIENT))[:40], "truncated|not an image"),
        (_png(Image.new("L", (8, 8), 0)), "constant"),
        (_cv2_png(np.full((8, 8), 700, np.uint16)), "constant"),
    ],
)
def test_bad_files_say_why(content, reason):
    with pytest.raises(BadImage, match=reason):
        decode_image(content)


def test_other_formats_are_refused():
    buffer = io.BytesIO()
    Image.fromarray(GRADIENT).save(buffer, "BMP")
    with pytest.raises(BadImage, match="BMP"):
        decode_image(buffer.getvalue())


def test_only_visible_images_are_listed(tmp_path):
    for name in ("b.PNG", "a.jpg", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in image_paths(tmp_path)] == ["a.jpg", "b.PNG"]
