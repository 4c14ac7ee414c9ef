"""Legacy files of PyTorch: what they hold comes back, and nothing of them is run."""

import collections
import io
import pickle
import struct
import sys
import types

import numpy as np
import pytest

from common_tf.torch_file import read_torch_file


def _legacy(tensors, *, keys=None, magic=0x1950A86A20F9469CFC6C, counts=None, cut=0):
    """Writes the format by hand: five pickles, then counts and values. PyTorch's names are those of empty modules."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def rebuild(*_):
        raise AssertionError

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = rebuild
    storages = {}
    for name in ("FloatStorage", "LongStorage"):
        setattr(torch, name, type(name, (), {"__module__": "torch"}))

    class Tensor:
        def __init__(self, key, array, offset, shape, strides):
            self.key, self.array, self.offset, self.shape, self.strides = key, array, offset, shape, strides

    class Writer(pickle.Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, tuple) and thing and thing[0] == "a storage":
                _, key, array = thing
                kind = torch.FloatStorage if array.dtype == np.float32 else torch.LongStorage
                return ("storage", kind, key, "cpu", len(array), None)
            return None

        def reducer_override(self, thing):
            if isinstance(thing, Tensor):
                storages[thing.key] = thing.array
                where = ("a storage", thing.key, thing.array)
                none = collections.OrderedDict()
                return rebuild, (where, thing.offset, thing.shape, thing.strides, False, none)
            return NotImplemented

    sys.modules["torch"], sys.modules["torch._utils"] = torch, utils
    try:
        buffer = io.BytesIO()
        for thing in (magic, 1001, {"little_endian": True}):
            pickle.dump(thing, buffer, protocol=2)
        Writer(buffer, 2).dump(collections.OrderedDict((name, Tensor(*parts)) for name, parts in tensors.items()))
        pickle.dump(sorted(storages) if keys is None else keys, buffer, protocol=2)
        for key in sorted(storages):
            buffer.write(struct.pack("<q", len(storages[key]) if counts is None else counts))
            buffer.write(storages[key].tobytes())
    finally:
        del sys.modules["torch"], sys.modules["torch._utils"]
    return buffer.getvalue()[: len(buffer.getvalue()) - cut]


_VALUES = np.arange(12, dtype=np.float32)
_COUNTS = np.array([7], np.int64)
_GOOD = {"a.weight": ("0", _VALUES, 2, (2, 3), (3, 1)), "turned": ("0", _VALUES, 0, (3, 4), (1, 3)),
         "n": ("1", _COUNTS, 0, (), ())}  # fmt: skip


def test_tensors_come_back_with_their_views(tmp_path):
    (tmp_path / "w.pth").write_bytes(_legacy(_GOOD))
    found = read_torch_file(tmp_path / "w.pth")
    np.testing.assert_array_equal(found["a.weight"], _VALUES[2:8].reshape(2, 3))
    np.testing.assert_array_equal(found["turned"], _VALUES.reshape(4, 3).T)
    assert found["n"] == 7 and found["n"].dtype == np.int64


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"PK\x03\x04" + b"\0" * 50,
        _legacy(_GOOD, magic=5),
        _legacy(_GOOD, cut=9),
        _legacy(_GOOD, counts=3),
        _legacy(_GOOD, keys=["0", "5"]),
        _legacy({"far": ("0", _VALUES, 8, (2, 3), (3, 1))}),
        _legacy({"back": ("0", _VALUES, -1, (2,), (1,))}),
        _legacy(_GOOD)[:200],
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(ValueError):
        read_torch_file(tmp_path / "w.pth")


class _Trap:
    def __reduce__(self):
        return pytest.fail, ("run",)


class _Import:
    def __reduce__(self):
        import os

        return os.system, ("true",)


@pytest.mark.parametrize("trap", [_Trap(), _Import()])
@pytest.mark.parametrize("place", range(5))
def test_nothing_of_a_file_is_run(tmp_path, trap, place):
    parts = [0x1950A86A20F9469CFC6C, 1001, {}, {}, []]
    parts[place] = trap
    (tmp_path / "w.pth").write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
    with pytest.raises(ValueError, match="which no file of weights needs"):
        read_torch_file(tmp_path / "w.pth")
