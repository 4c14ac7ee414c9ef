"""Prepared slices on disk, by what they were made from and how, shared by all runs.

A cache holds nothing that cannot be made again: delete it whenever you like. Its files are mapped and not read, so the
memory of a training does not grow with its data.
"""

import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common_tf.errors import UserError
from common_tf.files import WRITING, mapped_array
from common_tf.pictures.preparation import Preparation, prepare, take_mask
from common_tf.pictures.readers import BadPicture
from common_tf.progress import progress
from common_tf.sources.scanning import Scan
from common_tf.sources.source import Case
from common_tf.sources.volumes import release_volumes
from common_tf.volumes.slices import ALONE

_VERSION = "2"
_WORKERS = 4
_MEMORY_SHARE = 0.7


@dataclass(frozen=True)
class PreparedSlices:
    """Squares of one label.

    Attributes:
        pixels: ``(n, size, size)`` uint8 or uint16, full range; of slabs ``(n, size, size, slices)``.
        masks: bool of the shape of ``pixels``, the head.
        lesions: ``(n, size, size)`` bool, where they were asked for.
    """

    pixels: np.ndarray
    masks: np.ndarray
    lesions: np.ndarray | None = None

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Those that are there."""
        return tuple(array for array in (self.pixels, self.masks, self.lesions) if array is not None)

    def __len__(self) -> int:
        return len(self.pixels)

    def scaled(self, chosen: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Pixels of chosen squares as float32 in [0, 1]."""
        return self.pixels[chosen].astype(np.float32) / np.iinfo(self.pixels.dtype).max


def prepared_slices(
    cases: Sequence[Case],
    scans: Sequence[Sequence[Scan]],
    label: str,
    preparation: Preparation,
    *,
    size: int,
    folder: Path,
    with_lesions: bool = False,
) -> PreparedSlices:
    """The squares of one label, from the cache, or made now and kept there.

    Args:
        cases: to prepare.
        scans: of each case; empty ones of drawn heads.
        label: of the picture of each case.
        preparation: of the label.
        size: side of the squares.
        folder: of the cache. Where it cannot be written, the squares stay in memory, and a line says so.
        with_lesions: the lesions of the cases too, in the frames of their squares.

    Raises:
        UserError: a file that could be read when it was scanned cannot be read now.
    """
    if not cases:
        return _filled(cases, label, preparation, size, np.empty, with_lesions)
    key = _key(cases, scans, label, preparation, size)
    names = ("pixels", "masks", "lesions") if with_lesions else ("pixels", "masks")
    files = {name: folder / f"{key}.{name}.npy" for name in names}
    try:
        found = _mapped(files)
        kinds = ((np.uint8, np.uint16), (bool,), (bool,))
        shapes = (_shape(cases, size), _shape(cases, size), (len(cases), size, size))
        if all(
            array.shape == shape and array.dtype in known for array, shape, known in zip(found.arrays, shapes, kinds)
        ):
            return found
    except (OSError, ValueError):
        pass  # not there yet, or cut: made anew
    try:
        return _made_on_disk(cases, label, preparation, size, files)
    except OSError as error:
        reason = error.strerror or error
        wanted = math.prod(_shape(cases, size)) * ((3 if preparation.is_deep else 2) + with_lesions)
        if wanted > _MEMORY_SHARE * _available_memory():
            raise UserError(
                f"cache {folder}: cannot be written ({reason}), and {wanted / 1e9:.1f} GB of prepared slices are too "
                "much for memory; give the cache a disk with room (docs/data.md, Preparation)"
            ) from error
        print(f"cache {folder}: cannot be written ({reason}); prepared slices stay in memory", flush=True)
        return _filled(cases, label, preparation, size, np.empty, with_lesions)


def _key(cases, scans, label: str, preparation: Preparation, size: int) -> str:
    digest = hashlib.sha256(f"{_VERSION} {size} {sorted(asdict(preparation).items())} {label}".encode())
    for case, mine in zip(cases, scans):
        # Of all of a case's files: what one shows can decide how another is framed.
        known = " ".join(scan.sha256 for scan in mine) if mine and all(scan.sha256 for scan in mine) else ""
        content = case.identity or known or _bytes_of(case)
        digest.update(f"\n{content} {case.reading}{case.around}".encode())
    return digest.hexdigest()[:40]


def _bytes_of(case: Case) -> str:
    """The hash of a case's files, where no scan has taken it."""
    digest = hashlib.sha256()
    for path in (*case.paths.values(), *case.extra):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _mapped(files: Mapping[str, Path]) -> PreparedSlices:
    return PreparedSlices(*map(mapped_array, files.values()))


def _made_on_disk(cases, label, preparation, size, files: dict[str, Path]) -> PreparedSlices:
    folder = files["pixels"].parent
    folder.mkdir(parents=True, exist_ok=True)
    temporary = {name: file.with_name(f"{WRITING}{os.getpid()}-{file.name}") for name, file in files.items()}
    names = iter(temporary.values())

    def mapped(shape, dtype) -> np.ndarray:
        name = next(names)
        array = np.lib.format.open_memmap(name, mode="w+", dtype=dtype, shape=shape)
        if hasattr(os, "posix_fallocate"):
            # A mapped file has holes; writing into one on a full disk would kill the process without a word.
            with open(name, "r+b") as stream:
                os.posix_fallocate(stream.fileno(), 0, name.stat().st_size)
        return array

    try:
        slices = _filled(cases, label, preparation, size, mapped, "lesions" in files)
        for array in slices.arrays:
            array.flush()  # type: ignore[attr-defined]
        del slices, array
        for name, file in files.items():
            os.replace(temporary[name], file)
    finally:
        for file in temporary.values():
            file.unlink(missing_ok=True)
    return _mapped(files)


def _available_memory() -> float:
    """Bytes that may be taken without swapping, of the machine or of a container; no limit where neither says."""
    found = [math.inf]
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        found += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")]
        most, now = (Path("/sys/fs/cgroup", name).read_text() for name in ("memory.max", "memory.current"))
        found.append(float(most) - float(now))
    except (OSError, ValueError):  # another system, or a group without a limit
        pass
    return min(found)


def _shape(cases: Sequence[Case], size: int) -> tuple[int, ...]:
    """Of the pixels of cases, which all bring along as many slices, or none."""
    slab = cases[0].slab if cases else ALONE
    return (len(cases), size, size, len(slab)) if slab.neighbours else (len(cases), size, size)


def _filled(cases, label, preparation: Preparation, size: int, make, with_lesions: bool) -> PreparedSlices:
    dtype: Any = np.dtype(np.uint16 if preparation.is_deep else np.uint8)
    shape = _shape(cases, size)
    pixels, masks = make(shape, dtype), make(shape, np.dtype(bool))
    lesions = make((len(cases), size, size), np.dtype(bool)) if with_lesions else None
    top = np.iinfo(dtype).max

    def store(index: int) -> None:
        try:
            loaded = cases[index].load()
        except BadPicture as error:
            raise UserError(f"{cases[index].name}: {error}") from error
        square = prepare(loaded.pictures[label], preparation, size=size)
        pixels[index] = np.round(np.clip(square.pixels, 0, 1) * top)
        masks[index] = square.mask
        if lesions is not None:
            lesions[index] = take_mask(loaded.lesion, square.frame, size)

    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in progress(pool.map(store, range(len(cases))), total=len(cases), words=f"preparing slices, {label}"):
            pass
    release_volumes()
    return PreparedSlices(pixels, masks, lesions)
