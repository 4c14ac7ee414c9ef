import gc

import pytest

from common_tf.garbage import without_collecting


def test_collecting_is_put_off_and_taken_up_again():
    """Also one inside another, and after an error."""

    @without_collecting()
    def inner() -> bool:
        return gc.isenabled()

    assert gc.isenabled()
    with without_collecting():
        assert not inner()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError), without_collecting():
        raise ValueError
    assert gc.isenabled()
    first, second = without_collecting(), without_collecting()  # of two threads
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
    gc.disable()
    try:
        assert not inner()
        assert not gc.isenabled()
    finally:
        gc.enable()
