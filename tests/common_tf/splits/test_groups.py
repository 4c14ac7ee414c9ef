import imagehash
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.readers import FileFacts
from common_tf.sources.folders import single_case
from common_tf.sources.scanning import Scan, perceptual_hash, scan_case, scan_cases, scan_picture
from common_tf.splits.groups import group_numbers, near_duplicate_pairs


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
    assert [bool(mine[0].problem) for mine in scan_cases(cases)] == [True, True]


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
    """Every pair by its own arithmetic; blocks of 64 so that several rows of blocks are gone through."""
    monkeypatch.setattr("common_tf.splits.groups._BLOCK", 64)
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
