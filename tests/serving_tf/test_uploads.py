"""What is dropped stays in its folder and below its limit."""

import contextlib
import io
import stat
import zipfile

import numpy as np
import pytest

from common_tf.errors import UserError
from serving_tf.uploads import Dropped


def _zip(*entries, link=False):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if link:
                entry.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(entry, content)
    stream.seek(0)
    return stream


def test_files_and_archives_keep_their_folders(tmp_path):
    dropped = Dropped(tmp_path, limit=1000)
    dropped.add("a/b\\one.dcm", io.BytesIO(b"1"))
    dropped.add("some.ZIP", _zip(("series/two.dcm", b"22"), ("__MACOSX/._two.dcm", b"x"), (".DS_Store", b"x")))
    assert dropped.names == ["a/b/one.dcm", "series/two.dcm"]
    assert (tmp_path / "a" / "b" / "one.dcm").read_bytes() == b"1"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["one.dcm", "two.dcm"]


@pytest.mark.parametrize(
    "name", ["../x.png", "/etc/x.png", "a/../../x.png", "..\\x.png", "C:\\x.png", "", "a\x00.png", "n" * 300]
)
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    folder = tmp_path / "inside"
    folder.mkdir()
    for given in (name, None):
        with pytest.raises(UserError, match="not a name"):
            if given is None:
                if "\x00" in name or not name:
                    raise UserError("not a name")  # zipfile itself cuts such names
                Dropped(folder, limit=1000).add("a.zip", _zip((name, b"1")))
            else:
                Dropped(folder, limit=1000).add(given, io.BytesIO(b"1"))
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


def test_limits_hold_for_what_is_unpacked(tmp_path):
    bomb = _zip(("big.png", bytes(100_000)))
    assert len(bomb.getvalue()) < 1000
    with pytest.raises(UserError, match="unpacks to more than"):
        Dropped(tmp_path / "one", limit=50_000).add("bomb.zip", bomb)
    dropped = Dropped(tmp_path / "two", limit=10)
    dropped.add("a.png", io.BytesIO(b"12345"))
    with pytest.raises(UserError, match="--largest"):
        dropped.add("b.png", io.BytesIO(b"123456"))


def test_archives_that_are_none_or_hold_links_are_refused(tmp_path):
    with pytest.raises(UserError, match="no archive"):
        Dropped(tmp_path, limit=1000).add("a.zip", io.BytesIO(b"not a zip"))
    with pytest.raises(UserError, match="is a link"):
        Dropped(tmp_path, limit=1000).add("a.zip", _zip(("x.png", b"/etc/passwd"), link=True))
    broken = bytearray(_zip(("x.png", bytes(range(256)) * 20)).getvalue())
    broken[60] ^= 0xFF
    with pytest.raises(UserError, match="no archive"):
        Dropped(tmp_path, limit=100_000).add("a.zip", io.BytesIO(bytes(broken)))


def test_bits_that_flip_in_an_archive_are_one_refusal(tmp_path):
    whole = _zip(*((f"s/{number}.dcm", bytes(range(256)) * 8) for number in range(3))).getvalue()
    random = np.random.default_rng(0)
    for number in range(300):
        broken = bytearray(whole)
        for place in random.integers(0, len(broken), 3):
            broken[place] ^= 1 << int(random.integers(8))
        with contextlib.suppress(UserError):
            Dropped(tmp_path / str(number), limit=1_000_000).add("a.zip", io.BytesIO(bytes(broken)))
    assert not (tmp_path.parent / "s").exists()


def test_ordinary_names_are_kept_and_archives_do_not_collide(tmp_path):
    dropped = Dropped(tmp_path, limit=10_000)
    name = "Screenshot 1.23.45\u202fPM \u00a0\u3000.png"
    dropped.add(name, io.BytesIO(b"1"), is_alone=False)
    for series in ("first", "second"):
        dropped.add(f"{series}.zip", _zip(("IMG0001.dcm", b"1")), is_alone=False)
    dropped.add(".DS_Store", io.BytesIO(b"1"), is_alone=False)
    assert dropped.names == [name, "first/IMG0001.dcm", "second/IMG0001.dcm"]


def test_one_name_twice_is_refused(tmp_path):
    dropped = Dropped(tmp_path, limit=1000)
    dropped.add("a.png", io.BytesIO(b"1"))
    with pytest.raises(UserError, match="dropped twice"):
        dropped.add("a.png", io.BytesIO(b"2"))
    with pytest.raises(UserError, match="a file and a folder"):
        dropped.add("a.png/b.png", io.BytesIO(b"2"))
