"""Near-duplicate groups: files that show the same slice must stand on the same side of a split."""

from typing import Sequence

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from common_tf.splits.scanning import ScannedFile

SAME_HASH_BITS = 4
SIMILAR_HASH_BITS = 10
SIMILAR_CORRELATION = 0.95


def near_duplicate_pairs(files: Sequence[ScannedFile]) -> np.ndarray:
    """Finds the pairs of files that show (almost) the same slice.

    Two files are near-duplicates if their bytes are equal, or their perceptual hashes differ in at most 4 of 64 bits,
    or the hashes differ in at most 10 bits and the 64x64 thumbnails correlate at .95 or more. The last test is also
    made against the mirror image, because training flips left and right.
    The hash alone counts between files of one label only: coarse outlines of CT and MRI heads are often alike.

    Args:
        files: good files (no ``problem``).

    Returns:
        ``(pairs, 2)`` int, each row ``i < j``.
    """
    count = len(files)
    if count < 2:
        return np.zeros((0, 2), int)
    hashes = np.stack([file.phash for file in files]).astype(np.float32) * 2 - 1
    mirrored = np.stack([file.mirrored_phash for file in files]).astype(np.float32) * 2 - 1
    thumbnails = np.stack([file.thumbnail for file in files])
    straight, flipped = _standardise(thumbnails), _standardise(thumbnails[:, :, ::-1])
    digests = np.array([file.sha256 for file in files])
    labels = np.array([file.label for file in files])
    pairs = []
    step = 1024  # blocks of rows keep the memory for 50,000 files below 1 GB
    for start in range(0, count, step):
        block = slice(start, start + step)
        distance = (64 - hashes[block] @ hashes.T) / 2
        mirror_distance = (64 - hashes[block] @ mirrored.T) / 2
        near = digests[block, None] == digests[None]
        near |= (distance <= SAME_HASH_BITS) & (labels[block, None] == labels[None])
        near |= (distance <= SIMILAR_HASH_BITS) & (straight[block] @ straight.T >= SIMILAR_CORRELATION)
        near |= (mirror_distance <= SIMILAR_HASH_BITS) & (straight[block] @ flipped.T >= SIMILAR_CORRELATION)
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


def _standardise(thumbnails: np.ndarray) -> np.ndarray:
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
