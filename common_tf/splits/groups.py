"""Near-duplicate groups: files that show the same slice must stand on the same side of a split."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from common_tf.sources.scanning import Scan

SAME_HASH_BITS = 4
SIMILAR_HASH_BITS = 10
SIMILAR_CORRELATION = 0.95
_BLOCK = 512


def near_duplicate_pairs(files: Sequence[Scan]) -> np.ndarray:
    """Finds the pairs of files that show (almost) the same slice.

    Two files are near-duplicates if their bytes are equal, or their perceptual hashes differ in at most 4 of 64 bits,
    or the hashes differ in at most 10 bits and the 64x64 thumbnails correlate at .95 or more. The last test is also
    made against the mirror image, because training flips left and right.
    The hash alone counts between files of one label only: coarse outlines of CT and MRI heads are often alike.

    Only pairs whose hashes are near are correlated, and hashes are compared in blocks of rows, so memory grows with the
    number of files and not with its square: 4 kB a file, and 6 kB a file and block.

    Args:
        files: good files (no ``problem``).

    Returns:
        ``(pairs, 2)`` int, each row ``i < j``.
    """
    count = len(files)
    if count < 2:
        return np.zeros((0, 2), int)
    hashes, mirrored = (np.stack([getattr(f, name) for f in files]) for name in ("phash", "mirrored_phash"))
    hashes, mirrored = hashes.astype(np.float32) * 2 - 1, mirrored.astype(np.float32) * 2 - 1
    thumbnails = np.stack([np.asarray(file.thumbnail) for file in files])
    digests = np.unique([file.sha256 for file in files], return_inverse=True)[1]
    on_disk = np.array([file.sha256 != "" for file in files])
    labels = np.unique([file.label for file in files], return_inverse=True)[1]
    pairs = []
    for start in range(0, count, _BLOCK):
        block = slice(start, start + _BLOCK)
        distance = (64 - hashes[block] @ hashes.T) / 2
        near = (digests[block, None] == digests[None]) & on_disk[block, None]
        near |= (distance <= SAME_HASH_BITS) & (labels[block, None] == labels[None])
        for flip, bits in ((False, distance), (True, (64 - hashes[block] @ mirrored.T) / 2)):
            rows, columns = np.nonzero((bits <= SIMILAR_HASH_BITS) & ~near)
            later = rows + start < columns
            rows, columns = rows[later], columns[later]
            alike = _correlations(thumbnails, rows + start, columns, flip=flip) >= SIMILAR_CORRELATION
            near[rows[alike], columns[alike]] = True
        rows, columns = np.nonzero(near)
        rows = rows + start
        pairs.append(np.stack([rows, columns], axis=1)[rows < columns])
    return np.concatenate(pairs)


def group_numbers(count: int, pairs: np.ndarray) -> np.ndarray:
    """Connected components: ``(count,)`` int, the group of each file, numbered from 0 in order of first appearance."""
    ones = np.ones(len(pairs), bool)
    graph = coo_matrix((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    order = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([order[label] for label in labels.tolist()], int)


def _correlations(thumbnails: np.ndarray, first: np.ndarray, second: np.ndarray, *, flip: bool) -> np.ndarray:
    """Correlation of each pair of thumbnails, the second one mirrored where asked; a few at a time."""
    parts = []
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        one, other = thumbnails[first[part]], thumbnails[second[part]]
        parts.append((standardised(one) * standardised(other[:, :, ::-1] if flip else other)).sum(axis=1))
    return np.concatenate(parts) if parts else np.zeros(0)


def standardised(thumbnails: np.ndarray) -> np.ndarray:
    """``(n, pixels)`` float32 of mean 0 and length 1, whose products are correlations."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
