#!/usr/bin/env python3
"""Seconds and peak memory of translating drawn volumes of more and more slices, and of reading a DICOM series.

    python benchmarks/volumes.py [--run checkpoints/ct_mri_fast] [--slices 64 128 256]

Every size runs in a process of its own, so that its peak memory is its own. One pass before the clock starts builds the
graph.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

_SIDE = 256


def _draw(folder: Path, count: int) -> Path:
    from common_tf.volumes.phantom import FIELD_OF_VIEW, draw_head, write_drawn

    spacing = (FIELD_OF_VIEW[0] / _SIDE, FIELD_OF_VIEW[1] / _SIDE, FIELD_OF_VIEW[2] / count)
    return write_drawn(folder, draw_head(1, spacing=spacing).mri, name=f"mri{count}", as_dicom=False)


def _one(run: Path, file: Path) -> dict:
    import numpy as np

    from common_tf.volumes.nifti import read_nifti
    from cyclegan_tf.inference import load_translator
    from cyclegan_tf.volume_translation import translate_volume

    mri, _ = read_nifti(file)
    count = mri.shape[2]
    translator = load_translator(run)
    few = type(mri)(np.ascontiguousarray(mri.voxels[..., count // 3 : count // 3 + 16]), mri.affine)
    words = dict(source="MRI", target="CT", network="b_to_a")
    translate_volume(translator, few, **words)
    began = time.perf_counter()
    translate_volume(translator, mri, **words)
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this process: ru_maxrss would be that of the one that started it where that was larger."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def _reading() -> float:
    from common_tf.volumes.files import list_volumes
    from common_tf.volumes.phantom import draw_head, write_drawn

    with tempfile.TemporaryDirectory() as folder:
        head = draw_head(1, spacing=(192 / 512, 232 / 512, 160 / 28)).ct
        write_drawn(Path(folder), head, name="ct", as_dicom=True)
        began = time.perf_counter()
        (file,) = list_volumes(Path(folder)).volumes
        file.read()
        return time.perf_counter() - began


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, default=ROOT / "checkpoints" / "ct_mri_fast", metavar="DIR")
    parser.add_argument("--slices", type=int, nargs="+", default=[64, 128, 256], metavar="N")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(_one(arguments.run, arguments.one)))
        return
    print(f"{_SIDE}x{_SIDE} MRI to CT, {arguments.run.name}")
    for count in arguments.slices:
        with tempfile.TemporaryDirectory() as folder:
            file = _draw(Path(folder), count)
            words = [sys.executable, __file__, "--run", str(arguments.run), "--one", str(file)]
            said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        speed = count / found["seconds"]
        print(f"  {count:4} slices: {found['seconds']:6.1f} s, {speed:5.1f} slices/s, peak {found['peak_mb']:6.0f} MB")
    print(f"reading 28 DICOM slices of 512x512: {_reading():.2f} s")


if __name__ == "__main__":
    main()
