#!/usr/bin/env python3
"""A page in the browser: drop a scan, see its translation and what a detector says of it. On this machine only.

    python serve.py                                        the translators and detectors that come with the repository
    python serve.py --run runs/mine --run runs/detector    runs of your own
    python serve.py --watch runs                           curves and samples of trainings that go on, on watch.html
    python serve.py --port 9000 --open

prints an address with a token; who has it can use the page. Research only, not for diagnosis.
"""

import argparse
import os
import secrets
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from common_tf.cache_folder import cache_folder
from common_tf.command_line import run_script
from common_tf.errors import UserError

_SHIPPED = ("ct_mri_fast", "ct_mri_pairs", "ct_mri_t2", "tumour_yes_no", "tumour_four_classes")
_MOST_HOURS = 100_000
_LOCAL = ("127.0.0.1", "localhost", "::1")


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and serves until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--run", metavar="RUN", type=Path, action="append", help="a finished run; may be given more than once"
    )
    parser.add_argument("--host", default="127.0.0.1", help="name or address to listen on (default: %(default)s)")
    parser.add_argument(
        "--name", action="append", default=[], help="a further name by which the page is reached, such as a proxy's"
    )
    parser.add_argument("--port", type=int, default=8765, help="0 for any that is free (default: %(default)s)")
    parser.add_argument("--jobs", metavar="DIR", type=Path, help="folder of the jobs (default: in the user's cache)")
    parser.add_argument("--keep-hours", type=float, default=24.0, help="jobs are deleted then (default: %(default)g)")
    parser.add_argument("--largest", type=int, default=1024, metavar="MB", help="of one drop (default: %(default)s)")
    parser.add_argument(
        "--token", default=os.environ.get("CT_MRI_TOKEN", ""), help="default: CT_MRI_TOKEN, or a new one at every start"
    )
    parser.add_argument(
        "--watch",
        metavar="DIR",
        type=Path,
        nargs="+",
        default=[],
        help="runs, or folders of runs, whose trainings are shown on watch.html while they go on",
    )
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    arguments = parser.parse_args(argv)
    if arguments.largest < 1 or not 0 < arguments.keep_hours < _MOST_HOURS or not 0 <= arguments.port < 65536:
        raise UserError(
            f"--largest, --keep-hours (below {_MOST_HOURS}), --port: want numbers above 0 (a port may be 0)"
        )
    if arguments.host in ("0.0.0.0", "::") and not arguments.name:  # noqa: S104 (asked for by the user)
        raise UserError(f"--host {arguments.host}: add the address that others will use: --name 192.168.1.5")
    runs = _runs(arguments.run)
    try:
        from serving_tf.listening import serve
        from serving_tf.trainings import find_trainings
    except ImportError as error:
        raise UserError(f"the page wants packages of its own ({error.name}): pip install '.[serve]'") from error

    find_trainings(arguments.watch)
    token = arguments.token or secrets.token_urlsafe(24)
    if arguments.host not in _LOCAL:
        print(
            f"--host {arguments.host}: scans and the token travel over the network unencrypted; put a proxy with TLS "
            "before it",
            flush=True,
        )
    serve(
        arguments.jobs or cache_folder() / "serve",
        runs,
        token=token,
        host=arguments.host,
        port=arguments.port,
        largest_mb=arguments.largest,
        keep_hours=arguments.keep_hours,
        watched=arguments.watch,
        names=arguments.name,
        opened=webbrowser.open if arguments.open else None,
    )


def _runs(given: Sequence[Path] | None) -> dict[str, Path]:
    """Folder by name; those that come with the repository where none is named."""
    shipped = [Path(__file__).resolve().parent / "checkpoints" / name for name in _SHIPPED]
    folders = given or [folder for folder in shipped if folder.is_dir()]
    if not folders:
        raise UserError("no run: give one with --run RUN (this installation has no checkpoints/)")
    runs: dict[str, Path] = {}
    for folder in folders:
        if not (folder / "config.yaml").is_file():
            raise UserError(f"--run {folder}: no finished run in it (no config.yaml)")
        name = folder.resolve().name
        if name in runs:
            raise UserError(f"--run {folder}: two runs are named {name}; rename one of the folders")
        runs[name] = folder.resolve()
    return runs


def run() -> int:
    """The console script."""
    return run_script(main)


if __name__ == "__main__":
    sys.exit(run())
