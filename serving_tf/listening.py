"""Listening on a port until Ctrl-C."""

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import uvicorn

from common_tf.errors import UserError
from serving_tf.app import BANNER, make_app


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
    opened: Callable[[str], object] | None = None,
) -> None:
    """Serves the page; prints its address with the token.

    Args:
        folder, runs, token, largest_mb, keep_hours, watched: see `serving_tf.app.make_app`.
        host, port: to listen on; port 0 is any that is free.
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
    port = listening.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    hosts = [f"{one}:{port}" for one in dict.fromkeys((name, "127.0.0.1", "localhost", "[::1]"))]
    app = make_app(
        folder, runs, token=token, hosts=hosts, largest_mb=largest_mb, keep_hours=keep_hours, watched=watched
    )
    address = f"http://{name}:{port}/?token={token}"
    print(f"{address}\n{BANNER} Ctrl-C ends it.", flush=True)
    if opened is not None:
        opened(address)
    # The access log would hold the token.
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2
    )
    uvicorn.Server(config).run(sockets=[listening])
