import dataclasses

import numpy as np
import pytest

from common_tf.images.cache import fill_cache
from common_tf.images.pipeline import DomainPipeline


def _pipeline(**changes) -> DomainPipeline:
    random = np.random.default_rng(0)
    caches = {
        "a": random.integers(0, 256, (7, 12, 12), np.uint8),
        "b": random.integers(0, 65536, (5, 12, 12), np.uint16),
    }
    values = dict(caches=caches, image_size=8, batch_size=2, channels=1, flip=True, epoch_length="longest", seed=3)
    return DomainPipeline(**{**values, **changes})


def _take(pipeline, start, count):
    return [{k: v.numpy() for k, v in batch.items()} for batch in pipeline.batches(start).take(count)]


def test_a_later_start_sees_the_same_batches():
    whole, late = _take(_pipeline(), 0, 6), _take(_pipeline(), 4, 2)
    for expected, batch in zip(whole[4:], late):
        for name in "ab":
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
    pipeline = _pipeline(caches={"a": image, "b": image}, batch_size=1)
    flipped, offsets = 0, set()
    for batch in _take(pipeline, 0, 60):
        crop = np.round((batch["a"][0, :, :, 0] + 1) * 127.5).astype(int)
        if crop[0, 0] > crop[0, 1]:
            flipped += 1
            crop = crop[:, ::-1]
        top, left = divmod(crop[0, 0], 12)
        np.testing.assert_array_equal(crop, image[0, top : top + 8, left : left + 8])
        offsets.add((top, left))
    assert 18 <= flipped <= 42
    assert len(offsets) > 12 and max(top for top, _ in offsets) == 4


def test_range_type_and_channels():
    batch = _take(_pipeline(channels=3), 0, 1)[0]
    for name in "ab":
        assert batch[name].shape == (2, 8, 8, 3) and batch[name].dtype == np.float32
        assert -1 <= batch[name].min() < batch[name].max() <= 1
        np.testing.assert_array_equal(batch[name][..., 0], batch[name][..., 2])


def test_no_jitter_no_flip_is_the_image():
    pipeline = _pipeline(image_size=12, flip=False, batch_size=1)
    batch = _take(pipeline, 0, 1)[0]
    expected = pipeline.caches["a"][pipeline.indices("a", 0)[0]] / 127.5 - 1
    np.testing.assert_allclose(batch["a"][0, :, :, 0], expected, atol=1e-6)


@pytest.mark.parametrize("limit, mapped", [(10, False), (0, True)])
def test_cache_in_memory_or_in_a_file(tmp_path, limit, mapped):
    squares = np.random.default_rng(1).uniform(size=(9, 6, 6))
    options = dict(count=9, size=6, deep=True, limit_mb=limit, file=tmp_path / "c" / "a.npy")
    cache = fill_cache(lambda index: squares[index], **options)
    assert isinstance(cache, np.memmap) == mapped and (tmp_path / "c" / "a.npy").exists() == mapped
    np.testing.assert_allclose(cache / 65535, squares, atol=1e-5)
    pipeline = dataclasses.replace(_pipeline(image_size=6), caches={"a": cache, "b": cache})
    assert len(_take(pipeline, 0, 3)) == 3
