"""How a script ends: exit codes and one-line messages."""

import argparse
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence

from common_tf.errors import UserError

_STORAGE_REASONS = {
    errno.ENOSPC: "no space left on the disk; free some and run the same command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the same command again",
    errno.EACCES: "no permission; choose a folder that you may write to",
    errno.EPERM: "no permission; choose a folder that you may write to",
    errno.ENOTDIR: "a part of this path is a file; choose another folder",
    errno.EEXIST: "a part of this path is a file; choose another folder",
    errno.ENAMETOOLONG: "a name in this path is longer than the file system takes; choose a shorter one",
    errno.EROFS: "the file system is read-only; choose a folder that you may write to",
}


def run_script(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None = None) -> int:
    """Runs a script's main function and turns what goes wrong into an exit code.

    Args:
        main: the script; returns nothing when it is done.
        argv: the command line without the program's name; ``None`` for ``sys.argv[1:]``.

    Returns:
        0 when done, 2 when the user can mend it (one line on standard error), 130 after Ctrl-C. Anything else is a bug
        and stays an exception, so that Python prints its traceback and exits with 1.
    """
    sys.unraisablehook = _unraisable
    code = _code(main, argv)
    if code:
        gc.collect()  # what an error held goes now: at the end of Python, nobody would keep its complaints back
    return code


def _code(main: Callable[[Sequence[str] | None], None], argv: Sequence[str] | None) -> int:
    try:
        main(argv)
    except UserError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # The reader of our output (head, less) went away; Python would complain once more while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        reason = storage_reason(error)
        if reason is None:
            raise
        return _complain(reason)
    return 0


def _unraisable(found: "sys.UnraisableHookArgs") -> None:
    """What cannot be raised, such as h5py's complaint when a file of a full disk is let go of, is said already."""
    if not isinstance(found.exc_value, Exception) or storage_reason(found.exc_value) is None:
        sys.__unraisablehook__(found)


def storage_reason(error: Exception) -> str | None:
    """Says in one line that the disk is full or not writable, or returns ``None`` for any other error.

    TensorFlow and h5py report a failed write with exceptions of their own, which carry the operating system's words.
    """
    if isinstance(error, OSError) and error.errno in _STORAGE_REASONS:
        where = f"{error.filename}: " if error.filename else ""
        return where + _STORAGE_REASONS[error.errno]
    text = " ".join(str(error).split())
    for code, reason in _STORAGE_REASONS.items():
        if os.strerror(code) in text:
            return f"cannot write ({text[:160]}): {reason}"
    return None


def _complain(message: str) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return 2


def add_rescan_flag(parser: argparse.ArgumentParser) -> None:
    """``--rescan``, for `common_tf.sources.scan_store.forget_scans`."""
    parser.add_argument(
        "--rescan", action="store_true", help="look at every file again, also at those that have not changed since"
    )


def add_profile_flag(parser: argparse.ArgumentParser) -> None:
    """``--profile``, for `common_tf.runs.profile.Profile`."""
    parser.add_argument(
        "--profile",
        type=_steps,
        default=0,
        metavar="STEPS",
        help="profile so many steps of this start for TensorBoard, after the first ten",
    )


def _steps(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text}: wants a number of steps")
    return int(text)
