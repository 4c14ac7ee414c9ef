"""Downloads of ImageNet weights: from where, and that they are what was asked for."""

import hashlib

import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.imagenet import _DOWNLOADS, load_imagenet


@pytest.mark.parametrize("name", list(_DOWNLOADS))
def test_a_download_of_other_content_is_refused_and_not_kept(name, tmp_path, monkeypatch):
    """Keras' own download, from a file in place of the network."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    forged = tmp_path / "forged.h5"
    forged.write_bytes(b"not those weights")
    real = tf.keras.utils.get_file
    asked = {}

    def from_disk(file, origin, **options):
        asked.update(options, origin=origin)
        return real(file, forged.as_uri(), **options)

    monkeypatch.setattr(tf.keras.utils, "get_file", from_disk)
    with pytest.raises(UserError, match="cannot be downloaded"):
        load_imagenet(name, lambda file: pytest.fail("read"), flag="--weights imagenet", way_out="give --weights none")
    assert asked["origin"].startswith("https://storage.googleapis.com/tensorflow/keras-applications/") or name == (
        "efficientnetb3"
    )
    assert len(asked["file_hash"]) == 32 and asked["file_hash"] != hashlib.md5(forged.read_bytes()).hexdigest()  # noqa: S324
    assert not list((tmp_path / "home").rglob("*.h5"))
