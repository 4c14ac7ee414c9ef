import dataclasses
from pathlib import Path

import numpy as np
import pytest

import common_tf.sources.cache as cache
from common_tf.cache_folder import cache_folder
from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation, prepare
from common_tf.sources.cache import PreparedSlices, prepared_slices
from common_tf.sources.dataset import open_dataset
from common_tf.sources.drawn import drawn_lesions
from common_tf.sources.folders import folder_source
from common_tf.sources.pairs import pair_source

HEAD, WHOLE = Preparation("head", 0.9), Preparation("whole", 1.0)


@pytest.fixture
def dataset(tmp_path, heads, save):
    for index, head in enumerate(heads[:6]):
        save(tmp_path / "data" / ("trainA" if index < 3 else "trainB") / f"{index}.png", head.ct)
    return open_dataset(folder_source(tmp_path / "data", domains=("CT", "MRI")))


def _prepare(dataset, folder, *, label="CT", preparation=HEAD, size=32, **options) -> PreparedSlices:
    chosen = [index for index, case in enumerate(dataset.cases) if label in case.files]
    cases, scans = [dataset.cases[i] for i in chosen], [dataset.scans[i] for i in chosen]
    return prepared_slices(cases, scans, label, preparation, size=size, folder=folder, **options)


def _same(first: PreparedSlices, second: PreparedSlices) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(first.arrays, second.arrays, strict=True))


@pytest.fixture
def made(monkeypatch):
    """Counts the squares that are prepared."""
    calls = []

    def counted(*args, **kwargs):
        calls.append(args)
        return prepare(*args, **kwargs)

    monkeypatch.setattr(cache, "prepare", counted)
    return calls


def test_squares_and_masks_are_those_of_the_preparation(dataset, tmp_path):
    slices = _prepare(dataset, tmp_path / "cache")
    assert len(slices) == 3 and slices.pixels.dtype == np.uint8 and slices.masks.dtype == bool
    for index in range(3):
        square = prepare(dataset.cases[index].load().pictures["CT"], HEAD, size=32)
        np.testing.assert_array_equal(slices.pixels[index], np.round(square.pixels * 255))
        np.testing.assert_array_equal(slices.masks[index], square.mask)
    np.testing.assert_allclose(slices.scaled([1]), slices.pixels[[1]] / 255, rtol=1e-6)


def test_a_second_call_decodes_nothing(dataset, tmp_path, made):
    first = _prepare(dataset, tmp_path / "cache")
    assert len(made) == 3
    second = _prepare(dataset, tmp_path / "cache")
    assert len(made) == 3 and _same(first, second)
    assert isinstance(second.pixels, np.memmap)


@pytest.mark.parametrize("name", ["pixels", "masks"])
@pytest.mark.parametrize("left", [0, 40, -7])
def test_a_cut_file_is_made_anew(dataset, tmp_path, made, name, left):
    first = [array.copy() for array in _prepare(dataset, tmp_path / "cache").arrays]
    file = next((tmp_path / "cache").glob(f"*.{name}.npy"))
    file.write_bytes(file.read_bytes()[: left or None] if left else b"")
    again = _prepare(dataset, tmp_path / "cache")
    assert len(made) == 6 and all(map(np.array_equal, first, again.arrays))
    _prepare(dataset, tmp_path / "cache")
    assert len(made) == 6


@pytest.mark.parametrize(
    "start", [b"PK\3\4", b"\x93NUMPY\x03\x00\xff\xff\xff\x7f", b"\x93NUMPY\x01\x00\x10\x00{'descr': (\n\n  ]"]
)
def test_what_claims_to_be_something_else_is_made_anew(dataset, tmp_path, made, start):
    first = [array.copy() for array in _prepare(dataset, tmp_path / "cache").arrays]
    file = next((tmp_path / "cache").glob("*.pixels.npy"))
    file.write_bytes(start + file.read_bytes()[len(start) :])
    again = _prepare(dataset, tmp_path / "cache")
    assert len(made) == 6 and all(map(np.array_equal, first, again.arrays))


def test_files_of_another_kind_of_numbers_are_made_anew(dataset, tmp_path, made):
    first = _prepare(dataset, tmp_path / "cache").pixels.copy()
    file = next((tmp_path / "cache").glob("*.pixels.npy"))
    np.save(file, first.astype(np.int8))
    assert np.array_equal(_prepare(dataset, tmp_path / "cache").pixels, first) and len(made) == 6


def test_files_of_another_count_under_the_same_name_are_made_anew(dataset, tmp_path, made):
    _prepare(dataset, tmp_path / "cache")
    file = next((tmp_path / "cache").glob("*.pixels.npy"))
    np.save(file, np.zeros((1, 32, 32), np.uint8))
    assert len(_prepare(dataset, tmp_path / "cache")) == 3


def test_where_nothing_can_be_written_the_squares_stay_in_memory_with_a_line(dataset, tmp_path, capsys):
    (tmp_path / "file").touch()
    slices = _prepare(dataset, tmp_path / "file" / "cache")
    assert _same(slices, _prepare(dataset, tmp_path / "cache")) and not isinstance(slices.pixels, np.memmap)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1 and "cannot be written (Not a directory); prepared slices stay in memory" in printed


def test_a_full_disk_is_told_before_anything_is_mapped(dataset, tmp_path, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    assert len(_prepare(dataset, tmp_path / "cache")) == 3
    assert "No space left" in capsys.readouterr().out
    assert list((tmp_path / "cache").iterdir()) == []


def test_whatever_decides_the_squares_is_in_the_key(dataset, tmp_path, save, heads, made):
    """Label, preparation, size, files, their order."""
    folder = tmp_path / "cache"
    _prepare(dataset, folder)
    for changes in (
        dict(label="MRI"),
        dict(preparation=WHOLE),
        dict(preparation=dataclasses.replace(HEAD, reference=0.91)),
        dict(size=40),
    ):
        before = len(made)
        _prepare(dataset, folder, **changes)
        assert len(made) == before + 3, changes
    turned = [dataset.cases[i] for i in (1, 0, 2)], [dataset.scans[i] for i in (1, 0, 2)]
    prepared_slices(*turned, "CT", HEAD, size=32, folder=folder)
    save(tmp_path / "data" / "trainA" / "0.png", heads[20].ct)
    _prepare(open_dataset(dataset.source), folder)
    assert len(made) == 3 * 7


def test_moved_files_are_the_same_files(dataset, tmp_path, made):
    _prepare(dataset, tmp_path / "cache")
    (tmp_path / "data").rename(tmp_path / "moved")
    _prepare(open_dataset(folder_source(tmp_path / "moved", domains=("CT", "MRI"))), tmp_path / "cache")
    assert len(made) == 3


def test_another_order_of_a_strips_tiles_is_another_picture(tmp_path, heads, save):
    for index, head in enumerate(heads[:2]):
        save(tmp_path / "strips" / f"{index}.png", np.hstack([head.mri, head.ct]))
    found = {}
    for order in ("MRI,CT", "CT,MRI"):
        source = pair_source(tmp_path / "strips", domains=("CT", "MRI"), order=order)
        found[order] = _prepare(open_dataset(source), tmp_path / "cache", preparation=WHOLE).pixels
    assert not np.array_equal(found["MRI,CT"], found["CT,MRI"])


def test_deep_files_give_deep_squares(tmp_path, heads, save):
    for folder in ("trainA", "trainB"):
        for index, head in enumerate(heads[:2]):
            save(tmp_path / "data" / folder / f"{index}.png", np.round(head.ct * 4095).astype(np.uint16))
    dataset = open_dataset(folder_source(tmp_path / "data", domains=("CT", "MRI")))
    preparation = dataset.preparation("CT", [0, 1], framing="whole")
    slices = _prepare(dataset, tmp_path / "cache", preparation=preparation, size=48)
    assert slices.pixels.dtype == np.uint16
    np.testing.assert_allclose(slices.scaled()[0], heads[0].ct, atol=1 / 4095)


def test_lesions_travel_in_the_frames_of_their_squares(tmp_path):
    source = drawn_lesions(seed=1, count=6, size=64, modality="MRI", label="slice")
    dataset = open_dataset(source)
    slices = _prepare(dataset, tmp_path, label="slice", preparation=WHOLE, size=64, with_lesions=True)
    expected = np.stack([case.load().lesion for case in dataset.cases])
    assert expected.any()
    np.testing.assert_array_equal(slices.lesions, expected)
    assert _prepare(dataset, tmp_path, label="slice", preparation=WHOLE, size=64).lesions is None


def test_nothing_to_prepare_is_no_error(dataset, tmp_path):
    slices = prepared_slices([], [], "CT", HEAD, size=32, folder=tmp_path / "cache")
    assert slices.pixels.shape == slices.masks.shape == (0, 32, 32) and not (tmp_path / "cache").exists()


def test_files_that_nobody_scanned_are_known_by_their_bytes(dataset, tmp_path, save, heads):
    cases = [case for case in dataset.cases if "CT" in case.files]
    first = prepared_slices(cases, [[]] * 3, "CT", WHOLE, size=48, folder=tmp_path / "cache").pixels.copy()
    save(tmp_path / "data" / "trainA" / "0.png", heads[20].ct)
    second = prepared_slices(cases, [[]] * 3, "CT", WHOLE, size=48, folder=tmp_path / "cache").pixels
    assert not np.array_equal(first[0], second[0]) and np.array_equal(first[1:], second[1:])


def test_a_file_that_went_away_is_named(dataset, tmp_path):
    (tmp_path / "data" / "trainA" / "1.png").unlink()
    with pytest.raises(UserError, match="trainA/1.png: cannot be read"):
        _prepare(dataset, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_where_the_cache_lies(monkeypatch):
    monkeypatch.setenv("CT_MRI_CACHE", "/from/environment")
    assert cache_folder("/given") == Path("/given") and cache_folder("") == Path("/from/environment")
    monkeypatch.delenv("CT_MRI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder("") == Path("/xdg/ct-mri-cyclegan")


def test_what_neither_disk_nor_memory_can_hold_is_refused_before_it_is_made(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("common_tf.sources.cache._available_memory", lambda: 20_000.0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="too much for memory; give the cache a disk with room"):
        _prepare(dataset, tmp_path / "file" / "cache", size=64)
