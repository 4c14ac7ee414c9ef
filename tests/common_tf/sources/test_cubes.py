"""Cubes out of volumes: kept on disk, and drawn as a pure function of seed and step."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from common_tf.sources.blocks import StoredBlock, VolumeOfCases, stored_blocks
from common_tf.sources.cube_pipeline import CubePipeline
from common_tf.sources.source import Case
from common_tf.sources.volumes import OpenedVolume
from common_tf.volumes.phantom import draw_head


def _block(random, shape=(10, 12, 9), name="a") -> StoredBlock:
    return StoredBlock(name, random.integers(0, 65536, shape).astype(np.uint16), random.uniform(size=shape) < 0.5)


def _pipeline(random, **changes) -> CubePipeline:
    blocks = {"a": [_block(random) for _ in range(3)], "b": [_block(random, (8, 8, 8)) for _ in range(2)]}
    values = dict(side=8, batch_size=2, channels=1, flip=True, epoch_length="longest", cubes_per_volume=4, seed=7)
    return CubePipeline(blocks=blocks, **{**values, **changes})


def test_a_run_that_goes_on_sees_the_cubes_it_would_have_seen(random):
    pipeline = _pipeline(random)
    whole = list(pipeline.batches(0).take(6))
    for later, earlier in zip(pipeline.batches(4).take(2), whole[4:]):
        assert set(later) == {"a", "b", "mask_a", "mask_b"}
        for name in later:
            np.testing.assert_array_equal(later[name], earlier[name])
    assert not np.array_equal(whole[0]["a"], whole[1]["a"])
    assert whole[0]["a"].shape == (2, 8, 8, 8, 1) and whole[0]["mask_b"].shape == (2, 8, 8, 8, 1)


def test_cubes_are_parts_of_blocks_with_their_masks(random):
    pipeline = _pipeline(random, channels=3)
    mirrored = set()
    for step, batch in enumerate(pipeline.batches(0).take(8)):
        for letter in "ab":
            for number, (volume, corner, turned) in enumerate(pipeline.places(letter, step)):
                place = tuple(slice(start, start + 8) for start in corner)
                block = pipeline.blocks[letter][volume]
                pixels, mask = block.pixels[place] / 65535 * 2 - 1, block.mask[place]
                assert pixels.shape == (8, 8, 8)
                if turned:
                    pixels, mask = pixels[..., ::-1], mask[..., ::-1]
                mirrored.add(turned)
                for channel in range(3):
                    np.testing.assert_allclose(batch[letter][number, ..., channel], pixels, atol=1e-6)
                np.testing.assert_array_equal(batch["mask_" + letter][number, ..., 0], mask)
    assert mirrored == {True, False}


def test_every_volume_is_seen_as_often(random):
    pipeline = _pipeline(random)
    assert pipeline.steps_per_epoch == 6  # three volumes, four cubes each, two a step
    assert _pipeline(random, epoch_length="shortest").steps_per_epoch == 4
    places = [place for step in range(pipeline.steps_per_epoch) for place in pipeline.places("a", step)]
    assert Counter(volume for volume, _, _ in places) == {0: 4, 1: 4, 2: 4}
    assert len({corner for _, corner, _ in places}) > 6
    assert {corner for step in range(6) for _, corner, _ in pipeline.places("b", step)} == {(0, 0, 0)}


@dataclass
class _Scan:
    sha256: str


@pytest.fixture
def volumes():
    """One volume as its slices, and how often it was read."""
    read = []
    head = draw_head(2, spacing=(6.0, 6.0, 12.0)).ct

    def opened() -> OpenedVolume:
        read.append(1)
        return OpenedVolume(head, (-1000.0, 2000.0), (), [])

    cases = [
        Case(f"p#{n}", {"CT": f"p#{n}"}, "", opened, reading="CT -1000:2000", volume=opened)  # type: ignore[arg-type]
        for n in range(2)
    ]
    scans = [[_Scan(f"{n}")] for n in range(2)]
    return [VolumeOfCases("p", cases, scans)], read  # type: ignore[arg-type]


def _stored(found, folder, **changes):
    return stored_blocks(found, "CT", folder=folder, **{**dict(voxel_mm=6.0, side=16, framing="head"), **changes})


def test_blocks_are_made_once_and_anew_where_they_are_damaged(volumes, tmp_path):
    found, read = volumes
    (first,) = _stored(found, tmp_path)
    (again,) = _stored(found, tmp_path)
    assert len(read) == 1 and isinstance(again.pixels, np.memmap)
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.mask, again.mask)
    pixels = np.array(first.pixels)
    for changes in ({"voxel_mm": 7.0}, {"side": 40}, {"framing": "whole"}):
        _stored(found, tmp_path, **changes)
    assert len(read) == 4
    for file in tmp_path.glob("*.npy"):  # another file, as the old one is mapped still
        kept = file.read_bytes()[:200]
        file.unlink()
        file.write_bytes(kept)
    (mended,) = _stored(found, tmp_path)
    assert len(read) == 5
    np.testing.assert_array_equal(pixels, mended.pixels)


def test_a_cache_that_cannot_be_written_is_said_and_not_needed(volumes, tmp_path, capsys):
    found, _ = volumes
    (tmp_path / "cache").write_text("a file")
    (block,) = _stored(found, tmp_path / "cache")
    assert "cannot be written" in capsys.readouterr().out and block.pixels.max() > 0
