"""Arrays that are kept, and images that know what they are."""

import numpy as np
import pytest

from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation
from evaluation_tf import images as module
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import IMAGES_AT_ONCE, Images, content_hash, for_scaled, scaled_pictures


def _pixels(count, side=4):
    return np.random.default_rng(count).integers(0, 256, (count, side, side)).astype(np.uint8)


def test_the_cache_keeps_by_content_and_survives_damage(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"x": np.arange(3)}

    cache = ArrayCache(tmp_path)
    key = content_hash("kind", np.arange(4))
    assert key != content_hash("kind", np.arange(4).reshape(2, 2)) != content_hash("other", np.arange(4))
    for _ in range(2):
        np.testing.assert_array_equal(cache.arrays(key, compute)["x"], np.arange(3))
    assert len(calls) == 1 and (cache.hits, cache.misses) == (0, 1), "the second time from memory"
    again = ArrayCache(tmp_path)
    np.testing.assert_array_equal(again.arrays(key, compute)["x"], np.arange(3))
    assert len(calls) == 1 and (again.hits, again.misses) == (1, 0)
    file = next(tmp_path.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:20])
    np.testing.assert_array_equal(ArrayCache(tmp_path).arrays(key, compute)["x"], np.arange(3))
    assert len(calls) == 2


def test_a_metric_sees_few_images_at_a_time_and_in_single_precision(tmp_path):
    seen = []

    def brightness(first, second, *, mask):
        seen.append((len(first), first.dtype, second.dtype, mask.dtype))
        return (first * mask).mean(axis=(1, 2), dtype=np.float64)

    count = 2 * IMAGES_AT_ONCE + 3
    images, mask = Images.of(_pixels(count)), Images.of(np.ones((count, 4, 4), bool))
    values = ArrayCache(tmp_path).per_image("brightness", brightness, images, images, mask=mask)
    np.testing.assert_allclose(values, images.pixels.mean(axis=(1, 2)) / 255, rtol=1e-6)
    assert seen == [(size, np.float32, np.float32, bool) for size in (IMAGES_AT_ONCE, IMAGES_AT_ONCE, 3)]


def test_inputs_are_hashed_once(tmp_path, monkeypatch):
    images = Images.of(_pixels(5))
    hashed = []
    monkeypatch.setattr(module.hashlib, "sha256", _watched(module.hashlib.sha256, hashed))
    cache = ArrayCache(tmp_path)
    for name in ("one", "two"):
        cache.per_image(name, lambda stack: stack.mean(axis=(1, 2)), images)
        cache.of_sets(name, lambda stack: stack.mean(), images)
    part = images.chosen(np.array([4, 0]))
    assert len(hashed) > 4 and images.pixels.nbytes not in hashed
    np.testing.assert_array_equal(part.pixels, images.pixels[[4, 0]])
    assert part.digest != images.chosen(np.array([0, 4])).digest != images.digest


def _watched(original, sizes):
    """SHA-256 that notes the sizes of arrays it is given."""

    class Digest:
        def __init__(self, data=b""):
            self._digest = original(data)

        def update(self, data):
            sizes.append(data.nbytes if isinstance(data, memoryview) else 0)
            self._digest.update(data)

        def hexdigest(self):
            return self._digest.hexdigest()

    return Digest


def test_a_changed_metric_is_computed_again(tmp_path, monkeypatch):
    text = "import numpy as np\n\ndef metric(images):\n    return np.full(len(images), {})\n"
    monkeypatch.syspath_prepend(tmp_path)
    images, values = Images.of(_pixels(3)), []
    for number in (1.0, 2.0):
        name = f"metric_{number:.0f}"
        (tmp_path / f"{name}.py").write_text(text.format(number))
        function = __import__(name).metric
        values.append(ArrayCache(tmp_path / "cache").per_image("metric", function, images)[0])
    assert values == [1.0, 2.0]


def test_no_window_scales_what_is_scaled_already():
    windowed = Preparation("whole", 1.0, depth=0, low=0, high=80)
    deep = Picture(np.array([[0, 40], [80, 4000]], np.uint16), high=65535)
    scaled = scaled_pictures([deep], windowed)
    np.testing.assert_array_equal(scaled.items[0].pixels, [[0, 128], [255, 255]])
    again = scaled_pictures(scaled.items, for_scaled(windowed))
    np.testing.assert_array_equal(again.items[0].pixels, scaled.items[0].pixels)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(scaled_pictures(scaled.items, windowed).items[0].pixels, scaled.items[0].pixels)
