"""Whole volumes on disk, prepared for networks of three dimensions, by what they were made from and how."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from common_tf.files import mapped_array, replace_file
from common_tf.progress import progress
from common_tf.sources.scanning import Scan
from common_tf.sources.source import Case
from common_tf.sources.volumes import release_volumes
from common_tf.volumes.blocks import take_block

_VERSION = "1"
_WHITE = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class StoredBlock:
    """A prepared volume, mapped and not read.

    Attributes:
        name: of the volume.
        pixels: ``(slices, height, width)`` uint16, full range.
        mask: of the same shape, bool, the head.
    """

    name: str
    pixels: np.ndarray
    mask: np.ndarray

    def cube(self, corner: Sequence[int], side: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels in [0, 1] and mask of a cube."""
        place = tuple(slice(start, start + side) for start in corner)
        return self.pixels[place].astype(np.float32) / _WHITE, np.asarray(self.mask[place])


@dataclass(frozen=True)
class VolumeOfCases:
    """The slices of one volume.

    Attributes:
        name: of the volume.
        cases, scans: of its slices.
    """

    name: str
    cases: Sequence[Case]
    scans: Sequence[Sequence[Scan]]


def stored_blocks(
    volumes: Sequence[VolumeOfCases], label: str, *, voxel_mm: float, side: int, framing: str, folder: Path
) -> list[StoredBlock]:
    """The blocks of volumes, from the cache, or made now and kept there; one volume at a time is in memory.

    Args:
        volumes: of one domain.
        label: the domain.
        voxel_mm, side, framing: see `common_tf.volumes.blocks.take_block`.
        folder: of the cache; where it cannot be written, the blocks stay in memory, and a line says so.
    """
    found = []
    for one in progress(volumes, total=len(volumes), words=f"preparing volumes, {label}"):
        key = _key(one, f"{voxel_mm} {side} {framing}")
        files = [folder / f"{key}.{name}.npy" for name in ("block", "head")]
        try:
            arrays = [mapped_array(file) for file in files]
        except (OSError, ValueError):  # not there yet, or cut: made anew
            arrays = _made(one, files, voxel_mm=voxel_mm, side=side, framing=framing)
        found.append(StoredBlock(one.name, *arrays))
    release_volumes()
    return found


def _made(one: VolumeOfCases, files: Sequence[Path], *, voxel_mm: float, side: int, framing: str) -> list[np.ndarray]:
    assert one.cases[0].volume is not None
    opened = one.cases[0].volume()
    block = take_block(opened.volume, window=opened.window, voxel_mm=voxel_mm, side=side, framing=framing)
    arrays = [np.round(block.pixels * _WHITE).astype(np.uint16), block.mask]
    try:
        files[0].parent.mkdir(parents=True, exist_ok=True)
        for file, array in zip(files, arrays):
            replace_file(file, partial(np.save, arr=array))
        return [mapped_array(file) for file in files]
    except OSError as error:
        reason = error.strerror or error
        print(f"cache {files[0].parent}: cannot be written ({reason}); {one.name} stays in memory", flush=True)
        return arrays


def _key(one: VolumeOfCases, how: str) -> str:
    digest = hashlib.sha256(f"block {_VERSION} {how}".encode())
    for case, scans in zip(one.cases, one.scans):
        digest.update(f"\n{' '.join(scan.sha256 for scan in scans)} {case.reading}".encode())
    return digest.hexdigest()[:40]
