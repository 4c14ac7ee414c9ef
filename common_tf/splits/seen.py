"""Has another run trained on these files? Its manifest knows, and that of the run whose weights it started from."""

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.runs.config import read_config_file
from common_tf.sources.scanning import Scan
from common_tf.splits.groups import SAME_HASH_BITS
from common_tf.splits.manifest import MANIFEST_FILE, ManifestRow, read_manifest

INHERITED_FILE = "inherited.csv"
"""Beside a manifest: rows of what the start weights of the run were trained on."""

PAIRS_FILE = "pairs.csv"
"""Beside a manifest: that of the aligned pairs that the run was given beside its slices."""

_NOT_TRAINED_ON = ("test", "unused", "skipped")
_SHA256, _PHASH = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{16}")
_BLOCK = 1024


def own_manifests(manifest: Path) -> list[list[ManifestRow]]:
    """Every file of a run: its slices, and its pairs where it has some beside. Each has groups of its own.

    Raises:
        UserError: no manifest, or a damaged one.
    """
    pairs = manifest.with_name(PAIRS_FILE)
    return [read_manifest(manifest), *([read_manifest(pairs)] if pairs.exists() else [])]


def trained_on(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    """The training and validation files among them; every fold of a cross-validation has trained on other folds."""
    return [row for row in rows if row.split not in _NOT_TRAINED_ON]


def inherited_rows(manifest: Path) -> list[ManifestRow]:
    """The training and validation files behind the weights that a run started from.

    Args:
        manifest: manifest.csv of the run.

    Raises:
        UserError: a damaged manifest.
    """
    inherited = manifest.with_name(INHERITED_FILE)
    if inherited.exists():
        return trained_on(read_manifest(inherited))
    # of a version that did not write it
    earlier = [run / MANIFEST_FILE for run in lineage(manifest.parent)[1:]]
    return trained_on(row for one in earlier if one.exists() for row in chain(*own_manifests(one)))


def trained_rows(manifest: Path) -> list[ManifestRow]:
    """The training and validation files of a run, and those behind the weights that it started from.

    Args:
        manifest: manifest.csv of the run.

    Raises:
        UserError: no manifest, or a damaged one.
    """
    return [*trained_on(chain(*own_manifests(manifest))), *inherited_rows(manifest)]


def lineage(run: Path) -> list[Path]:
    """A run, the run whose weights it started from, and so on, as far as their folders and configs are there."""
    known: list[Path] = []
    while run not in known and run.is_dir():
        known.append(run)
        file = run / "config.yaml"
        content = read_config_file(file) if file.exists() else {}
        sections = [content, *(part for part in content.values() if isinstance(part, dict))]
        before = next((str(part["weights"]) for part in sections if part.get("weights")), "none")
        if before in ("none", "imagenet"):
            break
        run = Path(before)
    return known


def rows_behind(start: Path) -> list[ManifestRow]:
    """What a run inherits by starting from another's weights; nothing where that one has no manifest."""
    manifest = start / MANIFEST_FILE
    return trained_rows(manifest) if manifest.exists() else []


def seen_in_training(files: Sequence[Scan], manifest: Path, *, flag: str) -> np.ndarray:
    """Which files are (nearly) among the training and validation files of a manifest, ``(n,)`` bool.

    A manifest holds no pictures, so bytes and perceptual hashes (also of the mirror image) decide. A run on drawn heads
    has seen no file.

    Args:
        files: good files.
        manifest: manifest.csv of a run.
        flag: what the user named it by, for the message.

    Raises:
        UserError: no manifest, or one that cannot tell: without hashes of files that are not drawn.
    """
    try:
        rows = trained_rows(manifest)
    except UserError as error:
        raise UserError(f"{flag} {error}") from error
    blind = [row for row in _of_files(rows) if not (_SHA256.fullmatch(row.sha256) and _PHASH.fullmatch(row.phash))]
    if blind:
        raise UserError(
            f"{flag} {manifest}: {len(blind)} of its files have no hashes ({blind[0].path}), so nobody can tell what "
            "was trained on; train the run again with this version"
        )
    return seen_among(files, rows)


def seen_among(files: Sequence[Scan], rows: Iterable[ManifestRow]) -> np.ndarray:
    """Which files are, or look like, those of some rows, ``(n,)`` bool; see `seen_in_training`."""
    rows = _of_files(rows)
    hashes = np.array([_bits(row.phash) for row in rows], np.float32)
    digests = {row.sha256 for row in rows}
    seen = np.array([file.sha256 in digests for file in files], bool)
    if hashes.size and len(files):
        for attribute in ("phash", "mirrored_phash"):
            mine = np.array([getattr(file, attribute) for file in files], np.float32) * 2 - 1
            for start in range(0, len(files), _BLOCK):
                part = slice(start, start + _BLOCK)
                seen[part] |= ((64 - mine[part] @ (hashes * 2 - 1).T) / 2 <= SAME_HASH_BITS).any(axis=1)
    return seen


def _of_files(rows: Iterable[ManifestRow]) -> list[ManifestRow]:
    return [row for row in rows if row.note != "drawn"]


def _bits(text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))
