import numpy as np
import pytest

from common_tf.sources.cache import PreparedSlices
from common_tf.sources.pipeline import DomainPipeline


def _slices(pixels: np.ndarray) -> PreparedSlices:
    return PreparedSlices(pixels, pixels % 2 == 0)


def _pipeline(**changes) -> DomainPipeline:
    random = np.random.default_rng(0)
    slices = {
        "a": _slices(random.integers(0, 256, (7, 12, 12), np.uint8)),
        "b": _slices(random.integers(0, 65536, (5, 12, 12), np.uint16)),
    }
    values = dict(slices=slices, image_size=8, batch_size=2, channels=1, flip=True, epoch_length="longest", seed=3)
    return DomainPipeline(**{**values, **changes})


def _take(pipeline, start, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in pipeline.batches(start).take(count)]


def test_a_later_start_sees_the_same_batches():
    whole, late = _take(_pipeline(), 0, 6), _take(_pipeline(), 4, 2)
    for expected, batch in zip(whole[4:], late):
        assert set(batch) == {"a", "b", "mask_a", "mask_b"}
        for name in batch:
            np.testing.assert_array_equal(batch[name], expected[name])


def test_seeds_and_steps_differ():
    first, second = _take(_pipeline(), 0, 2)
    assert not np.array_equal(first["a"], second["a"])
    assert not np.array_equal(first["a"], _take(_pipeline(seed=4), 0, 1)[0]["a"])


@pytest.mark.parametrize("domain, count", [("a", 7), ("b", 5)])
def test_every_image_once_a_pass(domain, count):
    pipeline = _pipeline()
    seen = np.concatenate([pipeline.indices(domain, step) for step in range(count)])  # two passes with batches of 2
    for turn in (seen[:count], seen[count:]):
        assert sorted(turn) == list(range(count))
    assert not np.array_equal(seen[:count], seen[count:])


@pytest.mark.parametrize("length, steps", [("longest", 4), ("shortest", 3)])
def test_epoch_length(length, steps):
    assert _pipeline(epoch_length=length).steps_per_epoch == steps


def test_crops_come_from_the_image_and_are_flipped_half_of_the_time():
    image = np.arange(144, dtype=np.uint8).reshape(1, 12, 12)
    pipeline = _pipeline(slices={"a": _slices(image), "b": _slices(image)}, batch_size=1)
    flipped, offsets = 0, set()
    for batch in _take(pipeline, 0, 60):
        crop = np.round((batch["a"][0, :, :, 0] + 1) * 127.5).astype(int)
        np.testing.assert_array_equal(batch["mask_a"][0, :, :, 0], crop % 2 == 0)  # the mask moves with its image
        if crop[0, 0] > crop[0, 1]:
            flipped += 1
            crop = crop[:, ::-1]
        top, left = divmod(crop[0, 0], 12)
        np.testing.assert_array_equal(crop, image[0, top : top + 8, left : left + 8])
        offsets.add((top, left))
    assert 18 <= flipped <= 42
    assert len(offsets) > 12 and max(top for top, _ in offsets) == 4


def test_pairs_are_drawn_cropped_and_flipped_together():
    image = np.random.default_rng(1).integers(0, 256, (6, 12, 12), np.uint8)
    pair = {"a": _slices(image), "b": _slices(255 - image)}
    for batch in _take(_pipeline(slices=pair, paired=True), 0, 5):
        np.testing.assert_allclose(batch["a"], -batch["b"], atol=1e-6)
    alone = _take(_pipeline(slices=pair), 0, 5)
    assert not all(np.allclose(batch["a"], -batch["b"], atol=1e-6) for batch in alone)


def test_range_type_and_channels():
    batch = _take(_pipeline(channels=3), 0, 1)[0]
    for name in "ab":
        assert batch[name].shape == (2, 8, 8, 3) and batch[name].dtype == np.float32
        assert -1 <= batch[name].min() < batch[name].max() <= 1
        np.testing.assert_array_equal(batch[name][..., 0], batch[name][..., 2])
        assert batch[f"mask_{name}"].shape == (2, 8, 8, 1) and set(np.unique(batch[f"mask_{name}"])) == {0, 1}


def test_no_jitter_no_flip_is_the_image():
    pipeline = _pipeline(image_size=12, flip=False, batch_size=1)
    batch = _take(pipeline, 0, 1)[0]
    for name, top in (("a", 255), ("b", 65535)):
        expected = pipeline.slices[name].pixels[pipeline.indices(name, 0)[0]] * (2 / top) - 1
        np.testing.assert_allclose(batch[name][0, :, :, 0], expected, atol=1e-6)
