from dataclasses import replace

import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts
from common_tf.sources.classes import class_source
from common_tf.sources.folders import folder_source, single_case
from common_tf.sources.scanning import Scan, perceptual_hash, scan_case, scan_picture
from common_tf.sources.scans import scan_cases
from common_tf.sources.segmentation import segmentation_source
from common_tf.splits.groups import Sketches, group_numbers, near_duplicate_pairs


def _scan(path, label="MRI"):
    return scan_case(single_case(path, path.parent, label=label, given_split="train"))[0]


def test_finds_copies_recompressed_resized_brightened_deepened_and_mirrored(tmp_path, save):
    head, other = draw_phantom(0, size=128).mri, draw_phantom(50, size=128).mri
    small = np.asarray(Image.fromarray(head).resize((96, 96), Image.Resampling.BICUBIC))
    files = {
        "original.png": head,
        "copy.png": head,
        "jpeg.jpg": head,
        "small.png": np.clip(small, 0, 1),
        "bright.png": np.clip(head * 1.15, 0, 1),
        "twelve.png": np.round(head * 4095).astype(np.uint16),
        "offset.tif": np.round(31744 + head * 3000).astype(np.uint16),
        "mirrored.png": np.ascontiguousarray(head[:, ::-1]),
        "other.png": other,
    }
    scans = [_scan(save(tmp_path / name, pixels)) for name, pixels in files.items()]
    assert not any(scan.problem for scan in scans)
    assert group_numbers(len(scans), near_duplicate_pairs(scans)).tolist() == [0] * 8 + [1]


def test_different_heads_are_different_groups(tmp_path, save):
    files = [_scan(save(tmp_path / f"{seed}.png", draw_phantom(seed, size=128).mri)) for seed in range(20)]
    assert len(set(group_numbers(len(files), near_duplicate_pairs(files)))) >= 17


def test_alike_outlines_of_two_labels_are_no_duplicates(tmp_path, save):
    phantom = draw_phantom(3, size=128, lesion_probability=0)
    files = [
        _scan(save(tmp_path / "ct.png", phantom.ct), "CT"),
        _scan(save(tmp_path / "mri.png", phantom.mri), "MRI"),
    ]
    assert len(near_duplicate_pairs(files)) == 0


def test_hash_is_imagehash_of_the_thumbnail(tmp_path, save):
    path = save(tmp_path / "a.png", draw_phantom(0, size=64).ct)
    scanned = _scan(path)
    np.testing.assert_array_equal(perceptual_hash(scanned.thumbnail), scanned.phash)
    assert scanned.phash_hex == str(imagehash.phash(Image.open(path)))


def test_scan_reports_instead_of_raising(tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    scanned = _scan(tmp_path / "bad.png")
    assert scanned.problem.startswith("not an image") and scanned.phash_hex == "" and len(scanned.sha256) == 64
    assert "cannot be read" in _scan(tmp_path / "absent.png").problem
    cases = [single_case(tmp_path / name, tmp_path, label="CT", given_split="") for name in ("bad.png", "absent.png")]
    assert [bool(mine[0].problem) for mine in scan_cases(cases, None)] == [True, True]


@given(st.integers(1, 12), st.data())
@settings(max_examples=50, deadline=None)
def test_groups_are_the_connected_components(count, data):
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=12))
    groups = group_numbers(count, np.array(pairs, int).reshape(-1, 2))
    # An independent oracle: spread labels until nothing changes.
    expected = list(range(count))
    for _ in range(count):
        for first, second in pairs:
            expected[first] = expected[second] = min(expected[first], expected[second])
    assert [[a == b for b in groups] for a in groups] == [[a == b for b in expected] for a in expected]


def test_no_files_and_one_file():
    assert near_duplicate_pairs([]).shape == (0, 2)
    assert near_duplicate_pairs([_of(draw_phantom(0, size=64).ct, "a", "CT")]).shape == (0, 2)


def _of(image: np.ndarray, name: str, label: str) -> Scan:
    pixels = np.round(image * 255).astype(np.uint8)
    facts = FileFacts("drawn", "L", 8, *pixels.shape, int(pixels.min()), int(pixels.max()))
    return scan_picture(Picture(pixels), facts, name=name, label=label)


def test_pictures_without_a_file_are_no_copies_of_each_other():
    files = [_of(draw_phantom(seed, size=64).ct, str(seed), "CT") for seed in (0, 1)]
    assert len(near_duplicate_pairs(files)) == 0


@pytest.fixture(scope="module")
def many():
    """200 slices of two labels: drawn heads, copies, copies with noise or another brightness, mirrored ones."""
    random = np.random.default_rng(0)
    scans = []
    for seed in range(120):
        phantom = draw_phantom(seed, size=64)
        scans.append((phantom.ct if seed % 2 else phantom.mri, "CT" if seed % 2 else "MRI"))
    for number in random.integers(0, 120, 80):
        image, label = scans[number]
        kind = random.integers(5)
        if kind == 0:
            image = np.clip(image + random.normal(0, random.uniform(0.01, 0.2), image.shape), 0, 1)
        elif kind == 1:
            image = np.clip(image * random.uniform(0.6, 1.4), 0, 1)
        elif kind == 2:
            image = np.clip(image[:, ::-1] + random.normal(0, 0.03, image.shape), 0, 1)
        elif kind == 3:
            label = "MRI" if label == "CT" else "CT"
        scans.append((image, label))
    return [_of(image, str(number), label) for number, (image, label) in enumerate(scans)]


def test_pairs_equal_an_exhaustive_search(many, monkeypatch):
    """Every pair by its own arithmetic; tiles of 64 so that several rows and columns of tiles are gone through."""
    monkeypatch.setattr("common_tf.splits.groups._TILE", 64)
    flat = np.stack([scan.thumbnail.astype(float) for scan in many])
    correlations = np.corrcoef(flat.reshape(len(many), -1))
    mirrored = np.corrcoef(flat.reshape(len(many), -1), flat[:, :, ::-1].reshape(len(many), -1))
    mirrored = mirrored[: len(many), len(many) :]
    expected = set()
    for i, one in enumerate(many):
        for j in range(i + 1, len(many)):
            other = many[j]
            bits, turned = (one.phash != other.phash).sum(), (one.phash != other.mirrored_phash).sum()
            if (
                (bits <= 4 and one.label == other.label)
                or (bits <= 10 and correlations[i, j] >= 0.95)
                or (turned <= 10 and mirrored[i, j] >= 0.95)
            ):
                expected.add((i, j))
    found = near_duplicate_pairs(many)
    assert len(expected) > 60
    assert len(found) == len(set(map(tuple, found.tolist())))
    assert set(map(tuple, found.tolist())) == expected
    # Of files that stand together anyway no pairs are wanted, but copies, and between the others none is missing.
    joined = np.arange(len(many)) % 7 - 1
    rest = set(map(tuple, near_duplicate_pairs(many, joined=joined).tolist()))
    assert rest == {(i, j) for i, j in expected if joined[i] < 0 or joined[i] != joined[j]}


def test_groups_of_copies_of_copies_are_those_of_all_their_pairs(many):
    """Copies by their bytes are a chain: as many groups as by all pairs."""
    same = [replace(scan, sha256=f"{number % 40:064d}") for number, scan in enumerate(many)]
    groups = group_numbers(len(same), near_duplicate_pairs(same))
    assert all(len(set(groups[number::40].tolist())) == 1 for number in range(40))
    lone = {tuple(pair) for pair in near_duplicate_pairs(same).tolist()}
    assert len(lone) < 2 * len(many) + 400


def test_the_bound_on_a_correlation_is_one(many):
    """No pair that correlates enough is given up unseen: noise, which is all rest and no coarse part, included."""
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (64, 64), dtype=np.uint8)
    files = [replace(many[0], thumbnail=noise), replace(many[1], thumbnail=noise)]
    files += [replace(many[2], thumbnail=noise[:, ::-1]), replace(many[3], thumbnail=noise.T)]
    sketches = Sketches(files)
    first, second = np.array([0, 0, 0]), np.array([1, 2, 3])
    assert sketches.alike(first, second, flip=False).tolist() == [True, False, False]
    assert sketches.alike(first, second, flip=True).tolist() == [False, True, False]


def test_groups_of_many_are_those_of_exhaustive_search(real_data, tmp_path):
    """On every set of real slices: the groups by every pair's own arithmetic, in blocks of rows."""
    for name, source in (
        ("ct_mri_unpaired", lambda place: folder_source(place, domains=("CT", "MRI"))),
        ("brain_tumor_yesno", class_source),
        ("brain_tumor_4class", class_source),
        ("lgg_segmentation", lambda place: segmentation_source(place, channels=1)),
    ):
        scans = [mine[0] for mine in scan_cases(source(real_data / name).cases[:200], None)]
        scans = [scan for scan in scans if not scan.problem]
        expected = group_numbers(len(scans), _exhaustive(scans))
        np.testing.assert_array_equal(group_numbers(len(scans), near_duplicate_pairs(scans)), expected, err_msg=name)


def _exhaustive(scans) -> np.ndarray:
    flat = np.stack([np.asarray(scan.thumbnail) for scan in scans]).astype(np.float64)
    flat -= flat.mean(axis=(1, 2), keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=(1, 2), keepdims=True), 1e-9)
    turned = flat[:, :, ::-1].reshape(len(scans), -1)
    flat = flat.reshape(len(scans), -1)
    hashes, mirrored = (np.stack([getattr(scan, name) for scan in scans]) for name in ("phash", "mirrored_phash"))
    labels, digests = (np.array([getattr(scan, name) for scan in scans]) for name in ("label", "sha256"))
    pairs = []
    for i in range(len(scans)):
        bits, flipped = (hashes[i] != hashes).sum(axis=1), (hashes[i] != mirrored).sum(axis=1)
        same = (digests == digests[i]) | (bits <= 4) & (labels == labels[i])
        same |= (bits <= 10) & (flat @ flat[i] >= 0.95) | (flipped <= 10) & (turned @ flat[i] >= 0.95)
        pairs += [(i, j) for j in np.flatnonzero(same).tolist() if j > i]
    return np.array(pairs, int).reshape(-1, 2)
