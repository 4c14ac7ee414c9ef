"""Listening on a port until Ctrl-C."""

import socket
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import uvicorn

from common_tf.errors import UserError
from serving_tf.app import BANNER, make_app

_EVERYWHERE, _USUAL_PORT, _TEMPORARY = ("0.0.0.0", "::"), 80, ".temporary"  # noqa: S104 (recognised, not chosen)


def serve(
    folder: Path,
    runs: Mapping[str, Path],
    *,
    token: str,
    host: str,
    port: int,
    largest_mb: int,
    keep_hours: float,
    watched: Sequence[Path] = (),
    names: Sequence[str] = (),
    opened: Callable[[str], object] | None = None,
) -> None:
    """Serves the page; prints its address with the token.

    Args:
        folder, runs, token, largest_mb, keep_hours, watched: see `serving_tf.app.make_app`.
        host, port: to listen on; port 0 is any that is free.
        names: further hosts by which the page is reached, such as that of a proxy.
        opened: called with the address once the page answers.

    Raises:
        UserError: a port or a name that cannot be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise UserError(f"--host {host} --port {port}: {error.strerror or error}; choose another port") from error
    listening.listen()
    port = listening.getsockname()[1]
    own = host if host not in _EVERYWHERE else "127.0.0.1"
    shown = f"[{own}]" if ":" in own else own
    # Browsers leave the usual port out, and a proxy has one of its own: names that were given hold without any.
    hosts = {f"{one}:{port}" for one in (shown, "127.0.0.1", "localhost", "[::1]", *names)} | set(names)
    if port == _USUAL_PORT:
        hosts |= {shown, "localhost"}
    # What is dropped passes through temporary files; they belong to the jobs.
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / _TEMPORARY).mkdir(exist_ok=True, mode=0o700)
    tempfile.tempdir = str((folder / _TEMPORARY).resolve())
    try:
        app = make_app(
            folder,
            runs,
            token=token,
            hosts=[one.lower() for one in hosts],
            largest_mb=largest_mb,
            keep_hours=keep_hours,
            watched=watched,
        )
    except UserError:
        listening.close()
        raise
    address = f"http://{shown}:{port}/?token={quote(token, safe='')}"
    print(f"{address}\n{BANNER} Ctrl-C ends it.", flush=True)
    if opened is not None:
        threading.Thread(target=opened, args=(address,), daemon=True).start()
    # The access log would hold the token.
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listening])
