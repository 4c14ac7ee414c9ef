import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.images.pairs import pair_folder, read_pairs


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def tiles(random):
    return random.integers(0, 255, (3, 2, 16, 16)).astype(np.uint8)


def test_strips_come_apart_in_the_order_that_is_said(tmp_path, tiles):
    for number, (mri, ct) in enumerate(tiles):
        mask = np.full((16, 16), 255 * (number % 2 == 0), np.uint8)
        mask[0, 0] = 9
        _save(tmp_path / "test" / f"{number}.png", np.hstack([mri, ct, mask]))
    (tmp_path / "patients.csv").write_text("file,patient\ntest/0.png,a\ntest/1.png,a\ntest/2.png,b\n")
    pairs = read_pairs(pair_folder(tmp_path, "test"), domains=("CT", "MRI"))
    np.testing.assert_array_equal(pairs.images["MRI"], tiles[:, 0])
    np.testing.assert_array_equal(pairs.images["CT"], tiles[:, 1])
    assert pairs.mask[0, 5, 5] and not pairs.mask[1, 5, 5]
    assert pairs.groups.tolist() == ["a", "a", "b"] and pairs.group_word == "patients"
    assert pair_folder(tmp_path, "train") is None and pair_folder(tmp_path / "test", "train") is None
    swapped = read_pairs(tmp_path / "test", domains=("CT", "MRI"), order="CT,MRI,mask")
    np.testing.assert_array_equal(swapped.images["CT"], tiles[:, 0])


def test_two_folders_pair_by_name(tmp_path, tiles):
    for number, (a, b) in enumerate(tiles):
        _save(tmp_path / "A" / f"{number}.png", a)
        _save(tmp_path / "B" / f"{number}.png", b)
    pairs = read_pairs(tmp_path, domains=("CT", "MRI"))
    np.testing.assert_array_equal(pairs.images["MRI"], tiles[:, 1])
    assert pairs.group_word == "slices" and pairs.mask.shape == (3, 16, 16)
    (tmp_path / "B" / "1.png").rename(tmp_path / "B" / "9.png")
    with pytest.raises(UserError, match="no partner of the same name"):
        read_pairs(tmp_path, domains=("CT", "MRI"))


def test_unequal_sizes_and_single_images_are_refused_by_name(tmp_path, tiles):
    _save(tmp_path / "A" / "0.png", tiles[0, 0])
    _save(tmp_path / "B" / "0.png", tiles[0, 1][:8])
    with pytest.raises(UserError, match="one size, found 16x8, 16x16"):
        read_pairs(tmp_path, domains=("CT", "MRI"))
    _save(tmp_path / "single" / "0.png", tiles[0, 0])
    with pytest.raises(UserError, match="0.png: 16x16 pixels are no strip"):
        read_pairs(tmp_path / "single", domains=("CT", "MRI"))
    (tmp_path / "empty").mkdir()
    for folder, reason in ((tmp_path / "empty", "no pairs"), (tmp_path / "none", "no such folder")):
        with pytest.raises(UserError, match=reason):
            read_pairs(folder, domains=("CT", "MRI"))
