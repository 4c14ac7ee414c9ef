import errno
import sys

import pytest
import tensorflow as tf

from common_tf.command_line import run_script
from common_tf.errors import UserError


def _raise(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    "error, words",
    [
        (UserError("a file\nis bad"), "error: a file is bad\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x.h5"), "error: x.h5: no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "error: runs: no permission"),
        (tf.errors.ResourceExhaustedError(None, None, "ckpt; No space left on device"), "no space left on the disk"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_code_2(error, words, capsys):
    assert run_script(_raise(error)) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_a_name_that_is_no_text_is_printed_all_the_same(capfd):
    assert run_script(_raise(UserError("t\udceate.png: is bad"))) == 2
    assert "te.png: is bad" in capfd.readouterr().err


def test_other_ends(capsys):
    assert run_script(lambda argv: None) == 0
    assert run_script(_raise(KeyboardInterrupt())) == 130
    with pytest.raises(ZeroDivisionError):
        run_script(_raise(ZeroDivisionError()))


def test_what_a_full_disk_leaves_behind_is_not_said_twice(capsys, monkeypatch):
    """h5py complains once more when the file is let go of; anything else that cannot be raised is still shown."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)

    class Held:
        def __init__(self, error):
            self.error = error

        def __del__(self):
            raise self.error

    def main(_):
        held = Held(RuntimeError("Can't decrement id ref count (errno = 28, 'No space left on device')"))
        held.itself = held  # a circle, which only the collector lets go of
        raise OSError(28, "No space left on device", "x.h5")

    assert run_script(main, []) == 2
    assert (
        capsys.readouterr().err == "error: x.h5: no space left on the disk; free some and run the same command again\n"
    )

    def other(_):
        held = Held(RuntimeError("a bug"))
        del held

    assert run_script(other, []) == 0
    assert "a bug" in capsys.readouterr().err
