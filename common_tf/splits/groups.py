"""Near-duplicate groups: files that show the same slice must stand on the same side of a split."""

import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.fft import dctn
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from common_tf.progress import progress
from common_tf.sources.scanning import Scan

SAME_HASH_BITS = 4
SIMILAR_HASH_BITS = 10
SIMILAR_CORRELATION = 0.95
_BLOCK = 512
_TILE = 2048
_SKETCH = 24
_THREADS = os.cpu_count() or 1
_LARGE = 2**26
_ROUNDING = 1e-3


def near_duplicate_pairs(files: Sequence[Scan], *, joined: np.ndarray | None = None) -> np.ndarray:
    """Finds the pairs of files that show (almost) the same slice.

    Two files are near-duplicates if their bytes are equal, or their perceptual hashes differ in at most 4 of 64 bits,
    or the hashes differ in at most 10 bits and the 64x64 thumbnails correlate at .95 or more. The last test is also
    made against the mirror image, because training flips left and right.
    The hash alone counts between files of one label only: coarse outlines of CT and MRI heads are often alike.

    All hashes are compared, in tiles that fit a processor's cache, so the result is exact and memory grows with the
    number of files and not with its square. Thumbnails are correlated only where a bound allows the correlation that
    is wanted: that of their coarse parts plus the most that the rest could add (`Sketches`).

    Args:
        files: good files (no ``problem``).
        joined: ``(n,)`` int of files that stand together whatever they show, such as those of a patient, for whom no
            pairs are wanted; negative for files of their own.

    Returns:
        ``(pairs, 2)`` int, each row ``i < j``. Copies of one file are a chain, not all pairs of them.
    """
    count = len(files)
    if count < 2:
        return np.zeros((0, 2), int)
    hashes, mirrored = (np.stack([getattr(f, name) for f in files]) for name in ("phash", "mirrored_phash"))
    hashes, mirrored = hashes.astype(np.float32) * 2 - 1, mirrored.astype(np.float32) * 2 - 1
    labels = np.unique([file.label for file in files], return_inverse=True)[1]
    together = np.full(count, -1) if joined is None else np.asarray(joined)
    sketches = Sketches(files)

    def of_tile(tile: tuple[int, int]) -> np.ndarray:
        rows, columns = (slice(start, start + _TILE) for start in tile)
        pairs = []
        for flip, theirs in ((False, hashes), (True, mirrored)):
            # 64 less twice the number of bits that differ.
            alike = hashes[rows] @ theirs[columns].T
            flat = np.flatnonzero(alike >= 64 - 2 * SIMILAR_HASH_BITS)
            first, second = np.divmod(flat, alike.shape[1])
            near = alike.ravel()[flat]
            first, second = first + tile[0], second + tile[1]
            wanted = (first < second) & ((together[first] != together[second]) | (together[first] < 0))
            first, second, near = first[wanted], second[wanted], near[wanted]
            same = (near >= 64 - 2 * SAME_HASH_BITS) & (labels[first] == labels[second])
            if flip:
                same[:] = False  # of a mirror image the hash alone says too little
            same[~same] = sketches.alike(first[~same], second[~same], flip=flip)
            pairs.append(np.stack([first[same], second[same]], axis=1))
        return np.concatenate(pairs)

    tiles = [(start, other) for start in range(0, count, _TILE) for other in range(start, count, _TILE)]
    with ThreadPoolExecutor(_THREADS) as pool:  # NumPy releases Python's lock
        found = list(progress(pool.map(of_tile, tiles), total=len(tiles), words="comparing the slices"))
    return np.unique(np.concatenate([_copies(files), *found]), axis=0)


class Sketches:
    """Thumbnails' coarse parts, which say of most pairs that they cannot correlate enough.

    Of two images of mean 0 and length 1 the correlation is the product of their lowest frequencies (orthonormal DCT)
    plus that of the rest, which by Cauchy and Schwarz is at most the product of the rests' lengths.

    Args:
        files: good files.
    """

    def __init__(self, files: Sequence[Scan]):
        count = len(files)
        pixels = int(np.asarray(files[0].thumbnail).size) if files else 0
        self._pixels = _room((count, pixels), np.uint8)
        self._coarse = _room((count, _SKETCH**2), np.float32)
        self._rest, self._mean, self._length = (np.empty(count, np.float32) for _ in range(3))
        for start in range(0, count, _BLOCK):
            part = slice(start, start + _BLOCK)
            images = np.stack([np.asarray(file.thumbnail) for file in files[part]])
            flat = images.reshape(len(images), -1)
            self._pixels[part] = flat
            self._mean[part] = flat.mean(axis=1)
            self._length[part] = np.linalg.norm(flat - flat.mean(axis=1, keepdims=True), axis=1)
            waves = dctn(standardised(images).reshape(images.shape), axes=(1, 2), norm="ortho")
            self._coarse[part] = waves[:, :_SKETCH, :_SKETCH].reshape(len(waves), -1)
            self._rest[part] = np.sqrt(np.maximum(0.0, 1.0 - (self._coarse[part] ** 2).sum(axis=1)))
        self._length = np.maximum(self._length, 1e-6)
        self._turned = np.tile(np.where(np.arange(_SKETCH) % 2, -1, 1), _SKETCH).astype(np.float32)

    def alike(self, first: np.ndarray, second: np.ndarray, *, flip: bool) -> np.ndarray:
        """Whether pairs correlate at `SIMILAR_CORRELATION` or more, the second one mirrored where asked."""
        found = np.zeros(len(first), bool)
        turn = self._turned if flip else np.float32(1)
        for start in range(0, len(first), _TILE):
            part = slice(start, start + _TILE)
            i, j = first[part], second[part]
            bound = np.einsum("ij,ij->i", self._coarse[i] * turn, self._coarse[j]) + self._rest[i] * self._rest[j]
            possible = np.flatnonzero(bound >= SIMILAR_CORRELATION - _ROUNDING)
            if possible.size:
                found[start + possible] = self._correlation(i[possible], j[possible], flip) >= SIMILAR_CORRELATION
        return found

    def _correlation(self, i: np.ndarray, j: np.ndarray, flip: bool) -> np.ndarray:
        one, other = self._pixels[i].astype(np.float32), self._pixels[j]
        if flip:
            side = round(other.shape[1] ** 0.5)
            other = other.reshape(-1, side, side)[:, :, ::-1].reshape(len(other), -1)
        one -= self._mean[i, None]  # which leaves nothing of the other's mean in the product
        return np.einsum("ij,ij->i", one, other.astype(np.float32)) / (self._length[i] * self._length[j])


def _room(shape: tuple[int, int], kind: type) -> np.ndarray:
    """An array, of many files in a file without a name: its memory is given back where others want it."""
    if np.prod(shape) * np.dtype(kind).itemsize < _LARGE:
        return np.empty(shape, kind)
    file = tempfile.TemporaryFile()
    if hasattr(os, "posix_fallocate"):
        # A mapped file has holes; writing into one on a full disk would kill the process without a word.
        os.posix_fallocate(file.fileno(), 0, int(np.prod(shape)) * np.dtype(kind).itemsize)
    return np.memmap(file, kind, "w+", shape=shape)


def _copies(files: Sequence[Scan]) -> np.ndarray:
    """Each file with the next one of the same bytes, ``(pairs, 2)``."""
    last: dict[str, int] = {}
    pairs = []
    for number, file in enumerate(files):
        if file.sha256:
            if file.sha256 in last:
                pairs.append((last[file.sha256], number))
            last[file.sha256] = number
    return np.array(pairs, int).reshape(-1, 2)


def group_numbers(count: int, pairs: np.ndarray) -> np.ndarray:
    """Connected components: ``(count,)`` int, the group of each file, numbered from 0 in order of first appearance."""
    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], int)


def standardised(thumbnails: np.ndarray) -> np.ndarray:
    """``(n, pixels)`` float32 of mean 0 and length 1, whose products are correlations."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
