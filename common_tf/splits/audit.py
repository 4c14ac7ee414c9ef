"""The audit: what is wrong with a data set, said before anything is trained on it."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common_tf.splits.scanning import ScannedFile

_EXAMPLES = 8
_SUSPECT_PROBABILITY = 0.25
_WIDE_HEAD = 1.15
_LONELY_CORRELATION = 0.5


@dataclass(frozen=True)
class Finding:
    """One line of the audit.

    Attributes:
        severity: ``leak`` (a number measured on the test set would be wrong), ``warning`` or ``note``.
        topic: a short stable name.
        text: the sentence for a person.
        count: how many files it concerns.
        files: their names, all of them.
    """

    severity: str
    topic: str
    text: str
    count: int
    files: tuple


def audit(files: Sequence[ScannedFile], groups: np.ndarray, splits: Sequence[str]) -> list:
    """Looks for duplicates, leaks, files of the wrong kind and format shortcuts.

    Args:
        files: good files.
        groups: near-duplicate group of each.
        splits: train, validation or test of each, as it will be used.

    Returns:
        Findings, the worst first.
    """
    findings = []
    labels = sorted({file.label for file in files})
    for label in labels:
        findings += _duplicates(files, groups, label)
        findings += _leaks(files, groups, splits, label)
    findings += _shared_between_labels(files, groups, labels)
    findings += _format_shortcuts(files, labels)
    findings += _wrong_kind(files, groups, labels)
    order = {"leak": 0, "warning": 1, "note": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


def audit_lines(findings: Sequence[Finding]) -> list:
    """The findings as lines for a terminal."""
    lines = []
    for finding in findings:
        names = ", ".join(finding.files[:_EXAMPLES]) + (", ..." if len(finding.files) > _EXAMPLES else "")
        lines.append(f"  {finding.severity:8}{finding.text}" + (f": {names}" if names else ""))
    return lines or ["  nothing found"]


def audit_record(findings: Sequence[Finding]) -> list:
    """The findings as plain dictionaries for JSON."""
    return [asdict(finding) for finding in findings]


def _names(files, chosen) -> tuple:
    return tuple(file.path.name for file, yes in zip(files, chosen) if yes)


def _duplicates(files, groups, label):
    mine = np.array([file.label == label for file in files])
    digests = Counter(file.sha256 for file in files if file.label == label)
    copies = np.array([digests[file.sha256] > 1 for file in files]) & mine
    sizes = Counter(groups[mine].tolist())
    near = np.array([sizes[group] > 1 for group in groups.tolist()]) & mine
    if copies.any():
        extra = int(copies.sum()) - sum(1 for count in digests.values() if count > 1)
        text = f"{label}: {extra} files are byte-for-byte copies of another"
        yield Finding("note", "copies", text, int(copies.sum()), _names(files, copies))
    if near.any():
        text = f"{label}: {len(sizes)} distinct groups among {mine.sum()} files; {near.sum()} have a near-duplicate"
        yield Finding("note", "near-duplicates", text, int(near.sum()), ())


def _leaks(files, groups, splits, label):
    """Leaks of the folders as given, where the splits mend them, and of the splits as they will be used."""
    mine = np.array([file.label == label for file in files])
    given = np.array([file.given_split for file in files])
    used = np.array(splits)
    as_given = mine & (given == "test") & np.isin(groups, groups[given == "train"])
    in_test = mine & (used == "test") & np.isin(groups, groups[used != "test"])
    in_validation = mine & (used == "validation") & np.isin(groups, groups[used == "train"])
    for severity, what, leaked, whole, ending in (
        (
            "warning",
            "test",
            as_given & ~in_test,
            mine & (given == "test"),
            " in the folders as given; moved to training",
        ),
        ("leak", "test", in_test, mine & (used == "test"), ""),
        ("leak", "validation", in_validation, mine & (used == "validation"), ""),
    ):
        if leaked.any():
            share = leaked.sum() / whole.sum()
            counted = f"{leaked.sum()} of {whole.sum()} {what} files ({share:.0%})"
            text = f"{label}: {counted} share a slice with training{ending}"
            yield Finding(severity, f"leak, {what}", text, int(leaked.sum()), _names(files, leaked))


def _shared_between_labels(files, groups, labels):
    owners = {}
    for file, group in zip(files, groups.tolist()):
        owners.setdefault(group, set()).add(file.label)
    shared = np.array([len(owners[group]) > 1 for group in groups.tolist()])
    if shared.any():
        text = f"{shared.sum()} files have a near-duplicate under another label ({', '.join(labels)})"
        yield Finding("warning", "shared", text, int(shared.sum()), _names(files, shared))


def _format_shortcuts(files, labels):
    """How well the label can be told from the file alone, without looking at the anatomy."""
    truth = [file.label for file in files]
    majority = max(Counter(truth).values()) / len(truth)
    for topic, key in (
        ("file format", lambda file: file.format),
        ("colour mode", lambda file: file.mode),
        ("bit depth", lambda file: f"{file.bits} bit"),
        ("image size", lambda file: f"{file.width}x{file.height}"),
    ):
        values = [key(file) for file in files]
        table = {}
        for value, label in zip(values, truth):
            table.setdefault(value, Counter())[label] += 1
        accuracy = sum(max(counts.values()) for counts in table.values()) / len(truth)
        if len(labels) > 1 and accuracy - majority > 0.1:
            usual = "; ".join(f"{label} " + _common(values, truth, label) for label in labels)
            text = f"{topic} alone tells the label in {accuracy:.0%} of the files (guessing: {majority:.0%}): {usual}"
            yield Finding("warning", f"shortcut, {topic}", text, len(files), ())
    misnamed = [(file.format == "PNG") != (file.path.suffix.lower() == ".png") for file in files]
    if any(misnamed):
        text = f"{sum(misnamed)} files are PNG named .jpg or the reverse"
        yield Finding("note", "misnamed", text, sum(misnamed), _names(files, misnamed))


def _common(values, truth, label) -> str:
    counts = Counter(value for value, owner in zip(values, truth) if owner == label)
    (value, count), total = counts.most_common(1)[0], sum(counts.values())
    return f"{value} {count / total:.0%}" + (f" of {len(counts)} kinds" if len(counts) > 1 else "")


def _wrong_kind(files, groups, labels):
    """Files that look like another label, like no other file, or not like an axial head.

    The first is asked of a logistic regression on gray-value histograms, out of fold and by group, so no file (nor its
    copy) is judged by a model that was trained on it. These are suspects for a person to look at, not verdicts.
    """
    truth = np.array([file.label for file in files])
    thumbnails = np.stack([file.thumbnail for file in files])
    folds = min(5, *(len(set(groups[truth == label].tolist())) for label in labels))
    if len(labels) > 1 and folds >= 2 and len(files) >= 40:
        # The square root turns counts into features of about equal variance.
        histograms = np.sqrt([np.histogram(image, bins=32, range=(0, 1))[0] / image.size for image in thumbnails])
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
        chances = cross_val_predict(
            model, histograms, truth, groups=groups, cv=GroupKFold(folds), method="predict_proba"
        )
        own = chances[np.arange(len(files)), np.searchsorted(labels, truth)]
        for label in labels:
            suspect = (own < _SUSPECT_PROBABILITY) & (truth == label)
            if suspect.any():
                text = f"{label}: {suspect.sum()} files have gray values like another label's; look at them"
                yield Finding("warning", "looks like another label", text, int(suspect.sum()), _names(files, suspect))
    nearest = _best_correlation(thumbnails, groups)
    for label in labels:
        mine = truth == label
        wide = np.array([file.aspect > _WIDE_HEAD for file in files]) & mine
        if wide.any():
            text = f"{label}: {wide.sum()} files show something wider than tall, perhaps no axial head; look at them"
            yield Finding("note", "not an axial head", text, int(wide.sum()), _names(files, wide))
        lonely = mine & (nearest < _LONELY_CORRELATION)
        if lonely.any():
            text = f"{label}: {lonely.sum()} files resemble no other file; look at them"
            yield Finding("note", "unlike all others", text, int(lonely.sum()), _names(files, lonely))


def _best_correlation(thumbnails: np.ndarray, groups: np.ndarray) -> np.ndarray:
    flat = thumbnails.reshape(len(thumbnails), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    best = np.full(len(flat), -1.0)
    for start in range(0, len(flat), 1024):
        block = slice(start, start + 1024)
        correlation = flat[block] @ flat.T
        correlation[groups[block, None] == groups[None]] = -1
        best[block] = correlation.max(axis=1)
    return best
