import imagehash
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.splits.groups import group_numbers, near_duplicate_pairs
from common_tf.splits.scanning import perceptual_hash, scan_file, scan_files


def _write(folder, name, image, **options):
    path = folder / name
    Image.fromarray(quantise(image)).save(path, **options)
    return path


def test_finds_copies_recompressed_resized_brightened_and_mirrored(tmp_path):
    head, other = draw_phantom(0, size=128).mri, draw_phantom(50, size=128).mri
    small = np.asarray(Image.fromarray(head).resize((96, 96), Image.Resampling.BICUBIC))
    paths = [
        _write(tmp_path, "original.png", head),
        _write(tmp_path, "copy.png", head),
        _write(tmp_path, "jpeg.jpg", head, quality=60),
        _write(tmp_path, "small.png", small),
        _write(tmp_path, "bright.png", np.clip(head * 1.15, 0, 1)),
        _write(tmp_path, "mirrored.png", head[:, ::-1]),
        _write(tmp_path, "other.png", other),
    ]
    files = scan_files(paths, label="MRI", given_split="train")
    groups = group_numbers(len(files), near_duplicate_pairs(files))
    assert groups.tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_different_heads_are_different_groups(tmp_path):
    paths = [_write(tmp_path, f"{seed}.png", draw_phantom(seed, size=128).mri) for seed in range(20)]
    files = scan_files(paths, label="MRI", given_split="train")
    assert len(set(group_numbers(len(files), near_duplicate_pairs(files)))) >= 17


def test_alike_outlines_of_two_labels_are_no_duplicates(tmp_path):
    phantom = draw_phantom(3, size=128, lesion_probability=0)
    files = [
        scan_file(_write(tmp_path, "ct.png", phantom.ct), label="CT", given_split="train"),
        scan_file(_write(tmp_path, "mri.png", phantom.mri), label="MRI", given_split="train"),
    ]
    assert len(near_duplicate_pairs(files)) == 0


def test_hash_is_imagehash_of_the_thumbnail(tmp_path):
    path = _write(tmp_path, "a.png", draw_phantom(0, size=64).ct)
    scanned = scan_file(path, label="CT", given_split="")
    np.testing.assert_array_equal(perceptual_hash(scanned.thumbnail), scanned.phash)
    assert scanned.phash_hex == str(imagehash.phash(Image.open(path)))


def test_scan_reports_instead_of_raising(tmp_path):
    (tmp_path / "bad.png").write_text("no image")
    scanned = scan_file(tmp_path / "bad.png", label="CT", given_split="train")
    assert scanned.problem == "not an image" and scanned.phash_hex == "" and len(scanned.sha256) == 64
    assert "cannot be read" in scan_file(tmp_path / "absent.png", label="CT", given_split="").problem


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


def test_no_files():
    assert near_duplicate_pairs([]).shape == (0, 2)
