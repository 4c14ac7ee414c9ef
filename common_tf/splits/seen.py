"""Has another run trained on these files? Its manifest knows."""

from pathlib import Path
from typing import Sequence

import numpy as np

from common_tf.errors import UserError
from common_tf.splits.groups import SAME_HASH_BITS
from common_tf.splits.manifest import read_manifest
from common_tf.splits.scanning import ScannedFile


def seen_in_training(files: Sequence[ScannedFile], manifest: Path, *, flag: str) -> np.ndarray:
    """Which files are (nearly) among the training and validation files of a manifest, ``(n,)`` bool.

    A manifest holds no pictures, so bytes and perceptual hashes (also of the mirror image) decide.

    Args:
        files: good files.
        manifest: manifest.csv of a run.
        flag: what the user named it by, for the message.

    Raises:
        UserError: no manifest.
    """
    try:
        # Every fold of a cross-validation has trained other folds.
        rows = [row for row in read_manifest(manifest) if row.split not in ("test", "unused", "skipped")]
        hashes = np.array([_bits(row.phash) for row in rows if len(row.phash) == 16], np.float32)
    except (OSError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{flag} {manifest}: no manifest.csv of a run ({error})") from error
    digests = {row.sha256 for row in rows if row.sha256}
    seen = np.array([file.sha256 in digests for file in files], bool)
    if hashes.size and len(files):
        for attribute in ("phash", "mirrored_phash"):
            mine = np.array([getattr(file, attribute) for file in files], np.float32) * 2 - 1
            seen |= ((64 - mine @ (hashes * 2 - 1).T) / 2 <= SAME_HASH_BITS).any(axis=1)
    return seen


def _bits(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
