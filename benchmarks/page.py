"""What the page takes: from the drop to the answer, for twenty at once, and memory.

    python benchmarks/page.py [--series FOLDER]

starts serve.py with the shipped runs on a free port, drops drawn slices of 256 px (and a series, if one is named), and
prints minimum and median.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

_REPOSITORY = Path(__file__).resolve().parents[1]
_TIMES, _TOGETHER, _PAUSE = 10, 20, 0.02


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=Path, help="folder of a DICOM series of CT")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, _REPOSITORY / "serve.py", "--port", "0", "--jobs", folder, "--token", "measured"]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split("/?")[0]
            headers = {"Authorization": "Bearer measured"}
            with httpx.Client(base_url=address, headers=headers, timeout=300, trust_env=False) as client:
                _measure(client, process.pid, arguments.series, began)
        finally:
            process.terminate()
            process.wait()


def _measure(client: httpx.Client, process: int, series: Path | None, began: float) -> None:
    while not client.get("/api/runs").json()["ready"]:
        time.sleep(_PAUSE)
    print(f"ready after {time.monotonic() - began:.1f} s")
    slices = [_drawn(seed) for seed in range(_TIMES)]
    print(f"first slice {_drop(client, [('head.png', slices[0])]):.2f} s")
    _say("256-px slice", [_drop(client, [("head.png", one)]) for one in slices])
    _memory(process)
    if series is not None:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            files = [path for path in sorted(series.rglob("*")) if path.is_file()]
            for path in files:
                archive.write(path, path.name)
        times = [_drop(client, [("series.zip", stream.getvalue())], direction="CT2MRI") for _ in range(3)]
        _say(f"series of {len(files)} files", times)
    together = [("head.png", slices[0])]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        _say(f"{_TOGETHER} at once", list(pool.map(lambda _: _drop(client, together), range(_TOGETHER))))
    _memory(process)


def _drop(client: httpx.Client, files: list[tuple[str, bytes]], direction: str = "MRI2CT") -> float:
    """Seconds from the drop until it is done."""
    began = time.monotonic()
    data = {"translator": "ct_mri_fast", "direction": direction}
    answer = client.post("/api/jobs", files=[("files", one) for one in files], data=data)
    answer.raise_for_status()
    while (job := client.get(f"/api/jobs/{answer.json()['id']}").json())["state"] not in ("done", "failed"):
        time.sleep(_PAUSE)
    assert job["state"] == "done", job["message"]
    return time.monotonic() - began


def _drawn(seed: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(quantise(draw_phantom(seed, size=256).mri)).save(stream, format="PNG")
    return stream.getvalue()


def _say(what: str, seconds: list[float]) -> None:
    words = f"min {min(seconds):.2f}, median {statistics.median(seconds):.2f}, max {max(seconds):.2f} s"
    print(f"{what}: {words}, n = {len(seconds)}", flush=True)


def _memory(page: int) -> None:
    children = Path(f"/proc/{page}/task/{page}/children").read_text().split()
    names = {"page": page, "worker": int(children[0])}
    pages = {name: int(Path(f"/proc/{one}/statm").read_text().split()[1]) for name, one in names.items()}
    size = os.sysconf("SC_PAGE_SIZE") / 2**20
    print("resident: " + ", ".join(f"{name} {count * size:.0f} MB" for name, count in pages.items()))


if __name__ == "__main__":
    main()
