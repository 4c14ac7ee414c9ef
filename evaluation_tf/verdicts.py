"""Images that a detector is asked about before and after translation, and what becomes of its verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.measurement.measurement import Measurement, measure
from common_tf.sources.folders import picture_cases
from common_tf.sources.scanning import Scan
from common_tf.sources.scans import open_store, scan_cases
from common_tf.sources.source import Case, listed
from evaluation_tf.images import Pictures, content_hash, scaled_pictures
from evaluation_tf.pairs import Pairs
from evaluation_tf.panel import Panel, Verdicts
from evaluation_tf.parts import Section
from evaluation_tf.seen import seen_by
from evaluation_tf.translations import Translations

FEWEST = 10
"""Labelled images; fewer say nothing."""


@dataclass(frozen=True, eq=False)
class Question:
    """Images before and after.

    Attributes:
        groups: ``(n,)`` of each.
        group_word: what the groups are.
        before: real pictures of the detector's modality.
        after: by ``cycled`` and ``translated`` in words and pictures, what the translator made of the same heads.
        tumour: ``(n,)`` bool.
        folds: ``(n,)`` which fold may judge, or ``None``.
    """

    groups: np.ndarray
    group_word: str
    before: Pictures
    after: Mapping[str, tuple[str, Pictures]]
    tumour: np.ndarray
    folds: np.ndarray | None = None


def drawn_question(outputs: Translations, pairs: Pairs, domain: str) -> Question:
    """Drawn heads, which bring their own labels.

    Args:
        outputs: of the translator.
        pairs: drawn ones, with their lesions.
        domain: name of the detector's modality.
    """
    other = outputs.target(domain)
    real = {name: images.pictures() for name, images in pairs.images.items()}
    after = {}
    if outputs.has_cycle:
        cycled = outputs.pictures(outputs.pictures(real[domain], domain), other)
        after["cycled"] = (f"{domain} cycled through {other}", cycled)
    if other in outputs.sources:
        after["translated"] = (f"{domain} translated from {other}", outputs.pictures(real[other], other))
    assert pairs.lesion is not None
    tumour = pairs.lesion.any(axis=(1, 2))
    return Question(pairs.groups, pairs.group_word, real[domain], after, tumour)


def labelled_question(
    outputs: Translations, panel: Panel, folder: Path, domain: str, section: Section
) -> Question | None:
    """Images that the detector held out and the translator has not trained on; ``None`` with a gap for too few.

    Raises:
        UserError: none of the detector's test images, or files that are not the ones that it was tested on.
    """
    found = {path: row for path, row in panel.tested.items() if (folder / path).is_file()}
    if not found:
        raise UserError(
            f"--labelled {folder}: holds none of the images that {panel.run} was tested on; give the folder that the "
            "detector's --data named"
        )
    cases = picture_cases([folder / path for path in found], folder, label=domain, given_split="test")
    scans = [mine[0] for mine in scan_cases(cases, open_store())]
    rows = list(found.values())
    _refuse_other_files(folder, scans, [row["sha256"] for row in rows])
    seen = seen_by(outputs.run, scans, flag="--translator")
    kept = np.flatnonzero(~seen)
    if seen.any():
        section.warnings.append(
            f"{int(seen.sum())} of {len(found)} labelled images are (nearly) among the slices that the translator was "
            "trained on; they are left out"
        )
    if len(kept) < FEWEST:
        reason = f"only {len(kept)} of them were in no training; at least {FEWEST} are wanted"
        section.add_gap("verdicts on labelled images", reason)
        return None
    rows = [rows[index] for index in kept]
    before, scaled = _read([cases[index] for index in kept], [scans[index] for index in kept], outputs, domain, folder)
    other = outputs.target(domain)
    cycled = outputs.pictures(outputs.pictures(scaled, domain), other)
    words = {row["groups_are"] for row in rows}
    return Question(
        groups=np.array([row["group"] for row in rows]),
        group_word=words.pop() if len(words) == 1 else "groups",
        before=before,
        after={"cycled": (f"{domain} cycled through {other}", cycled)},
        tumour=np.array([panel.is_positive(row["label"]) for row in rows]),
        folds=np.array([int(row["fold"]) for row in rows]),
    )


def flip_rates(before: Verdicts, after: Verdicts, groups: np.ndarray, of: str = "groups") -> dict[str, Measurement]:
    """Agreement, tumours lost and tumours gained, each with its interval over groups."""
    was, now = before.called, after.called
    nan = np.full(len(was), np.nan)
    return {
        "agreement": measure((was == now).astype(float), groups, of=of),
        "lost": measure(np.where(was, ~now, nan), groups, of=of),
        "gained": measure(np.where(~was, now, nan), groups, of=of),
    }


def _refuse_other_files(folder: Path, scans: list[Scan], digests: list[str]) -> None:
    bad = [f"{scan.name}: {scan.problem}" for scan in scans if scan.problem]
    if bad:
        raise UserError(f"--labelled {folder}: {len(bad)} files cannot be used ({listed(bad)}); mend or remove them")
    other = [scan.name for scan, digest in zip(scans, digests) if scan.sha256 != digest]
    if other:
        raise UserError(
            f"--labelled {folder}: {len(other)} files are not the ones that the detector was tested on "
            f"({listed(other, most=5)}); put them back"
        )


def _read(
    cases: list[Case], scans: list[Scan], outputs: Translations, domain: str, folder: Path
) -> tuple[Pictures, Pictures]:
    """The pictures as they are stored, for the detector, and scaled, for the translator."""
    stored = [case.load().pictures[domain] for case in cases]
    facts = {scan.name: scan.facts for scan in scans if scan.facts is not None}
    preparation = outputs.preparation(facts, source=domain, flag=f"--labelled {folder}")
    digest = content_hash(*(scan.sha256 for scan in scans))
    return Pictures(stored, digest, are_scaled=False), scaled_pictures(stored, preparation)
