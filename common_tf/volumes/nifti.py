"""NIfTI 1 and 2, .nii and .nii.gz, in any orientation."""

import gzip
import io
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from common_tf.files import replace_file
from common_tf.volumes.volume import BadVolume, Volume, one_line, refuse_size, refuse_values

_GZIP = b"\x1f\x8b"
_SPACE = 7
_MILLIMETRES = {1: 1000.0, 3: 0.001}
"""By the header's unit of space: metres and micrometres; 2 is mm, 0 unknown."""
_MAGIC = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}
_START = 4096
_MOST_BEYOND = 2**20
_LARGEST_BYTES = 8 * 2**30
_HEADER = 348


def is_nifti(start: bytes) -> bool:
    """Whether a file is NIfTI, packed or not.

    Args:
        start: its first 4 kB at least.
    """
    if start.startswith(_GZIP):
        try:
            start = zlib.decompressobj(31).decompress(start, _HEADER)
        except zlib.error:
            return False
    return any(start[place : place + 4] in magic for place, magic in _MAGIC.items())


def read_nifti(path: Path, *, number: int | None = None, may_be_constant: bool = False) -> tuple[Volume, Sequence[str]]:
    """Reads a volume; values as the file's slope and intercept make them, NaN as the lowest of the others.

    A NIfTI file does not say what its values are, so ``unit`` and ``modality`` are empty.

    Args:
        path: of the file, whatever its name.
        number: which volume of a file with several, from 0.
        may_be_constant: one value everywhere is no error, as of a mask without a lesion.

    Returns:
        The volume, and what a person should know of it.

    Raises:
        BadVolume: no NIfTI file, a truncated one, several volumes and no number, colours, complex numbers, nothing to
            see.
    """
    image = _opened(Path(path))
    notes = []
    shape = tuple(int(side) for side in image.shape)
    if len(shape) < 3 or any(side != 1 for side in shape[4:]):
        raise BadVolume(f"has {len(shape)} dimensions ({' x '.join(map(str, shape))}); three are wanted")
    refuse_size(shape[:3])
    count = shape[3] if len(shape) > 3 else 1
    if number is None and count > 1:
        raise BadVolume(
            f"holds {count} volumes; say which, from 0 to {count - 1} (--volume of translate.py), or save it as a "
            "file of its own"
        )
    if number is not None and not 0 <= number < count:
        raise BadVolume(f"holds {count} volume(s), no number {number}; they count from 0")
    kind = image.get_data_dtype()
    if kind.names or np.issubdtype(kind, np.complexfloating):
        raise BadVolume(f"holds {'colours' if kind.names else 'complex numbers'}; plain values are wanted")
    try:
        place = (..., *([number or 0] + [0] * (len(shape) - 4))) if len(shape) > 3 else ...
        voxels = np.asarray(image.dataobj[place], np.float32).reshape(shape[:3])
    except (OSError, EOFError, ValueError, OverflowError, zlib.error, IndexError) as error:
        raise BadVolume(f"truncated or corrupt ({one_line(error)})") from error
    missing = ~np.isfinite(voxels)
    if missing.any():
        if missing.all():
            raise BadVolume("holds no number at all (NaN everywhere)")
        voxels = np.where(missing, voxels[~missing].min(), voxels)
        notes.append(f"{int(missing.sum()):,} voxels are no numbers and were taken as the lowest value")
    if not may_be_constant:
        refuse_values(voxels)
    affine = np.array(image.affine, np.float64)
    affine[:3] *= _MILLIMETRES.get(int(image.header["xyzt_units"]) & _SPACE, 1.0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise BadVolume("its affine is none (a side of the grid has no length)")
    if not int(image.header["qform_code"]) and not int(image.header["sform_code"]):
        notes.append("does not say how the head lies in it; NIfTI's default (x to the left) was taken")
    return Volume(voxels, affine), notes


def write_nifti(path: Path, volume: Volume, *, description: str = "") -> None:
    """Writes a volume in one piece; packed where the name ends in ``.gz``; 16 bits where all values are whole.

    A volume of uneven slices is written on the grid of its mean spacing, for NIfTI knows no other.

    Args:
        path: of the file.
        volume: of any kind.
        description: of at most 79 bytes; a note in the header.
    """
    whole = np.array_equal(volume.voxels, np.round(volume.voxels)) and np.abs(volume.voxels).max() < 2**15
    image = nibabel.Nifti1Image(volume.voxels.astype(np.int16 if whole else np.float32), volume.affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(volume.affine, code="scanner")
    # A qform has no shears: with a gantry tilt it would say something else than the sform.
    image.set_qform(None if volume.is_tilted else volume.affine, code=0 if volume.is_tilted else 1)
    image.header["descrip"] = description.encode()[:79]
    content = image.to_bytes()
    # Without a time or a name in it the same volume is the same file.
    packed = gzip.compress(content, 6, mtime=0) if str(path).lower().endswith(".gz") else content
    replace_file(Path(path), lambda file: file.write_bytes(packed))


def _opened(path: Path) -> nibabel.Nifti1Pair:
    try:
        with open(path, "rb") as stream:
            packed = stream.read(2) == _GZIP
            stream.seek(0)
            content = _unpacked(stream) if packed else stream.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadVolume(f"truncated or corrupt ({one_line(error)})") from error
    except OSError as error:
        raise BadVolume(f"cannot be read ({error.strerror})") from error
    if not is_nifti(content[:_HEADER]):
        raise BadVolume("not a NIfTI file")
    if any(content[place : place + 4] == magic[1] for place, magic in _MAGIC.items()):
        raise BadVolume("a NIfTI file in two parts (.hdr and .img); save it as .nii or .nii.gz")
    try:
        return _kind(content).from_stream(io.BytesIO(content))
    except (
        ImageFileError,
        HeaderDataError,
        OSError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        OverflowError,
    ) as error:
        raise BadVolume(f"a damaged header ({one_line(error)})") from error


def _kind(content: bytes) -> type[nibabel.Nifti1Image]:
    return nibabel.Nifti1Image if content[344:348] == _MAGIC[344][0] else nibabel.Nifti2Image


def _unpacked(stream: BinaryIO) -> bytes:
    """A packed file, of which no more is unpacked than its header announces: a few bytes can unpack to any size."""
    with gzip.open(stream) as unpacked:
        start = unpacked.read(_START)
        if not is_nifti(start):
            return start
        try:
            header = _kind(start).header_class.from_fileobj(io.BytesIO(start), check=False)
            shape = [max(1, int(side)) for side in header.get_data_shape()]
            end = int(header.get_data_offset()) + math.prod(shape) * header.get_data_dtype().itemsize
        except (HeaderDataError, ValueError, TypeError, KeyError, OverflowError):
            return start  # whatever is wrong with it is said by who reads it
        refuse_size(tuple(shape[:3]))
        if end > _LARGEST_BYTES:
            raise BadVolume(f"announces {end / 2**30:.0f} GB, more than {_LARGEST_BYTES >> 30} GB that are read")
        content = start + unpacked.read(max(0, end - len(start)))
        # To the end of the file, whose check sum says whether all of it was whole; but not to that of a bomb.
        beyond = 0
        while more := unpacked.read(_START):
            beyond += len(more)
            if beyond > _MOST_BEYOND:
                raise BadVolume("holds far more than its header announces")
        return content
