import pytest

from common_tf.errors import UserError
from common_tf.pictures.drawn_folders import main
from common_tf.sources.folders import folder_source


def test_every_layout_is_read_and_no_head_stands_in_two(tmp_path):
    main([str(tmp_path / "drawn"), "--heads", "3", "--size", "32"])
    assert len(folder_source(tmp_path / "drawn", domains=("CT", "MRI")).cases) == 6
    pictures = list((tmp_path / "drawn").rglob("*.png"))
    assert len(pictures) == 24 and len({file.read_bytes() for file in pictures}) == 24
    for split in ("train", "test"):
        folder = tmp_path / "drawn" / "pairs" / split
        assert [file.name for file in sorted((folder / "CT").iterdir())] == ["0000.png", "0001.png", "0002.png"]
    with pytest.raises(UserError, match="in use"):
        main([str(tmp_path / "drawn")])
