"""A page with its worker, asked by a client in the same process; and scans to drop."""

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
import uvicorn
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from serving_tf.app import make_app

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN = "a-token"  # noqa: S105 (of these tests alone)
RUNS = {name: REPOSITORY / "checkpoints" / name for name in ("ct_mri_fast", "tumour_yes_no")}


class Page:
    """A client with the token.

    Attributes:
        folder: of the jobs.
        client: asks with the token.
    """

    def __init__(self, folder: Path, client: httpx.Client):
        self.folder, self.client = folder, client

    def drop(self, files, **asked):
        """Drops ``(name, content)``; returns the response."""
        parts = [("files", (name, content)) for name, content in files]
        return self.client.post("/api/jobs", files=parts, data=asked)

    def done(self, name: str, seconds: float = 120):
        """The job once it is done or failed."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            job = self.client.get(f"/api/jobs/{name}").json()
            if job["state"] in ("done", "failed"):
                return job
            time.sleep(0.05)
        raise AssertionError(f"not done in {seconds} s: {job}")

    def result(self, files, **asked):
        """Drops and waits."""
        answer = self.drop(files, **asked)
        assert answer.status_code == 201, answer.text
        return self.done(answer.json()["id"])

    def content(self, job, path: str) -> bytes:
        """A file of a job."""
        answer = self.client.get(f"/api/jobs/{job['id']}/files/{path}")
        assert answer.status_code == 200, path
        return answer.content


@contextmanager
def begun(folder: Path, *, runs=RUNS, **options):
    """A page on a port of its own, until it ends."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    app = make_app(folder, runs, token=TOKEN, hosts=[host], **options)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        with httpx.Client(
            base_url=f"http://{host}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=120, trust_env=False
        ) as client:
            end = time.monotonic() + 120
            while not server.started or not client.get("/api/runs").json()["ready"]:
                assert time.monotonic() < end
                time.sleep(0.1)
            yield Page(folder, client)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """The page with the shipped translator and detector."""
    with begun(tmp_path_factory.mktemp("jobs"), largest_mb=64) as page:
        yield page


@pytest.fixture(scope="session")
def head(tmp_path_factory) -> Path:
    """A drawn MRI as PNG."""
    path = tmp_path_factory.mktemp("scan") / "head.png"
    Image.fromarray(quantise(draw_phantom(3, size=128).mri)).save(path)
    return path


@pytest.fixture(scope="session")
def hounsfield() -> np.ndarray:
    """``(48, 48, 6)`` HU of drawn heads, axes to the patient's right, front and top."""
    slices = [draw_phantom(one, size=48).ct for one in range(6)]
    return np.stack([np.flip(one.T * 2000 - 1000, (0, 1)) for one in slices], axis=-1).astype(np.float32)
