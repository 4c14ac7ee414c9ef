"""The audit: what is wrong with a data set, said before anything is trained on it."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common_tf.randomness import Stream
from common_tf.sources.scanning import Scan
from common_tf.splits.finding import Finding
from common_tf.splits.groups import standardised

_SUSPECT_PROBABILITY = 0.25
_WIDE_HEAD = 1.15
_LONELY_CORRELATION = 0.5
_LITTLE_CONTRAST = 0.025
_BLOCK = 512
_TWELVE_BITS = 4095
_SCALES_APART, _GAP, _SHARE_OF_EITHER = 6.0, 2.0, 0.05
_ASKED, _FEWEST_ASKED = 200, 10
_WHITE, _SEEN = 230, 20
_WITH_BONE, _WITHOUT_BONE = 0.05, 0.02
_ORDER = Stream("audit.order")

Remember = Callable[..., np.ndarray]


def audit(
    files: Sequence[Scan],
    groups: np.ndarray,
    splits: Sequence[str],
    *,
    of: str = "distinct groups",
    aligned: bool = False,
    remember: Remember = lambda what, compute, *of: compute(),
) -> list[Finding]:
    """Looks for duplicates, leaks, files of the wrong kind and format shortcuts.

    Args:
        files: good files.
        groups: group of each.
        splits: train, validation or test of each, as it will be used.
        of: what the groups are.
        aligned: files of two labels show the same heads, as they should.
        remember: takes what a result is, its computation and what it depends on beside the files; may know it already.

    Returns:
        Findings, in no order.
    """
    findings = []
    labels = sorted({file.label for file in files})
    for label in labels:
        findings += _duplicates(files, groups, label, of)
        findings += _leaks(files, groups, splits, label)
        findings += _two_scales(files, label)
    if not aligned:
        findings += _shared_between_labels(files, groups, labels)
    findings += swapped_finding(files)
    findings += _format_shortcuts(files, labels)
    findings += _wrong_kind(files, groups, labels, remember)
    return findings


def contrast_finding(files: Sequence[Scan], label: str, low: float, high: float) -> list[Finding]:
    """What is left of the gray scale inside the heads, where it is so little that a network sees one gray.

    The middle half of a head's pixels spans 5 to 50 % of the scale in slices that people have windowed; Hounsfield
    units that were stored as they are, with 4095 for white, leave 1 % or less.

    Args:
        files: of the label, with their heads.
        label: of them.
        low, high: stored values that are black and white.
    """
    found = np.array([file.quartiles for file in files if file.extent])
    if not len(found):
        return []
    share = float(np.median(found[:, 1] - found[:, 0]) / (high - low))
    if share >= _LITTLE_CONTRAST:
        return []
    first, last = (np.median(found[:, side]) for side in (0, 1))
    text = (
        f"{label}: half of the pixels in the head lie within {share:.1%} of the gray scale ({256 * share:.0f} of 256 "
        f"levels, around {(first + last) / 2:g} where black is {low:g} and white {high:g}), so a network sees little "
        f"of the brain; window it: --window {label}=BLACK:WHITE (a brain window has 40 HU on either side of the brain)"
    )
    return [Finding("warning", "contrast", text, len(found))]


def _two_scales(files, label):
    """A finding where some deep files stay within 12 bits and others are far above them: nearly black on one scale.

    Slices of one scanner differ in brightness too, but with all that lies between.
    """
    mine = [index for index, file in enumerate(files) if file.label == label and file.facts.is_deep]
    largest = np.array([max(1, files[index].facts.largest) for index in mine], float)
    dark = largest <= _TWELVE_BITS
    if min(dark.sum(), (~dark).sum()) < max(2, _SHARE_OF_EITHER * len(mine)):
        return
    ratio = np.median(largest[~dark]) / np.median(largest[dark])
    if ratio < _SCALES_APART or largest[~dark].min() < _GAP * largest[dark].max():
        return
    chosen = np.zeros(len(files), bool)
    chosen[np.array(mine)[dark]] = True
    text = (
        f"{label}: {dark.sum()} deep files hold values up to {largest[dark].max():.0f}, the other {(~dark).sum()} up "
        f"to {largest[~dark].min():.0f} at least; on one scale the first are nearly black: bring all to one scale first"
    )
    yield Finding("warning", "two scales", text, int(dark.sum()), _names(files, chosen))


def _names(files, chosen) -> tuple:
    """By their last names, where no two of all files share one; else by their whole ones."""
    last = [file.name.rsplit("/", 1)[-1] for file in files]
    alone = Counter(last)
    return tuple(short if alone[short] == 1 else file.name for file, short, yes in zip(files, last, chosen) if yes)


def _duplicates(files, groups, label, of):
    mine = np.array([file.label == label for file in files])
    digests = Counter(file.sha256 for file in files if file.label == label and file.sha256)
    copies = np.array([digests[file.sha256] > 1 for file in files]) & mine
    sizes = Counter(groups[mine].tolist())
    near = np.array([sizes[group] > 1 for group in groups.tolist()]) & mine
    if copies.any():
        extra = int(copies.sum()) - sum(1 for count in digests.values() if count > 1)
        text = f"{label}: {extra} files are byte-for-byte copies of another"
        yield Finding("note", "copies", text, int(copies.sum()), _names(files, copies))
    if near.any():
        text = f"{label}: {len(sizes)} {of} among {mine.sum()} files; {near.sum()} are not alone in theirs"
        yield Finding("note", "groups", text, int(near.sum()))


def _leaks(files, groups, splits, label):
    """Leaks of the folders as given, where the splits mend them, and of the splits as they will be used."""
    mine = np.array([file.label == label for file in files])
    given = np.array([file.given_split for file in files])
    used = np.array(splits)
    as_given = mine & (given == "test") & np.isin(groups, groups[given == "train"])
    in_test = mine & (used == "test") & np.isin(groups, groups[used != "test"])
    in_validation = mine & (used == "validation") & np.isin(groups, groups[used == "train"])
    mended = as_given & ~in_test
    sides = set(used[mended].tolist())
    became = "; left out" if sides == {"unused"} else "; moved to training" if sides <= {"train", "validation"} else ""
    for severity, what, leaked, whole, ending in (
        ("warning", "test", mended, mine & (given == "test"), f" in the folders as given{became}"),
        ("leak", "test", in_test, mine & (used == "test"), ""),
        ("leak", "validation", in_validation, mine & (used == "validation"), ""),
    ):
        if leaked.any():
            share = leaked.sum() / whole.sum()
            counted = f"{leaked.sum()} of {whole.sum()} {what} files ({share:.0%})"
            text = f"{label}: {counted} share a slice with training{ending}"
            yield Finding(severity, f"leak, {what}", text, int(leaked.sum()), _names(files, leaked))


def _shared_between_labels(files, groups, labels):
    owners: dict[int, set] = {}
    for file, group in zip(files, groups.tolist()):
        owners.setdefault(group, set()).add(file.label)
    shared = np.array([len(owners[group]) > 1 for group in groups.tolist()])
    if shared.any():
        text = f"{shared.sum()} files have a near-duplicate under another label ({', '.join(labels)})"
        yield Finding("warning", "shared", text, int(shared.sum()), _names(files, shared))


def swapped_finding(files: Sequence[Scan]) -> list[Finding]:
    """A finding where the pictures called MRI have the white skull of a windowed CT, and those called CT have none.

    Of what is not black in a CT a sixth is white in the median, in an MRI a hundredth and less (docs/data.md). A swap
    of all files is seen by nothing else: they are consistent with each other.

    Args:
        files: good ones of two labels, one of them a CT, of 8 bits; of others nothing is asked.
    """
    labels = sorted({file.label for file in files})
    # The whole word: a detector's class may be called ctrl.
    named = [bool(re.match("CT([^A-Z]|$)", label.upper())) for label in labels]
    if len(labels) != 2 or sum(named) != 1:
        return []
    ct, other = sorted(labels, key=lambda label: named[labels.index(label)], reverse=True)
    shares = {}
    for label in labels:
        # Volumes and deep files are seen on other scales, on which bone is not white.
        mine = np.flatnonzero(
            [
                file.label == label and bool(file.extent) and file.facts is not None and file.facts.bits <= 8
                for file in files
            ]
        )
        if len(mine) < _FEWEST_ASKED:
            return []
        chosen = mine[np.linspace(0, len(mine) - 1, min(_ASKED, len(mine))).astype(int)]
        thumbnails = _thumbnails(files, chosen)
        seen = (thumbnails > _SEEN).sum(axis=(1, 2))
        shares[label] = float(np.median((thumbnails >= _WHITE).sum(axis=(1, 2)) / np.maximum(seen, 1)))
    if shares[other] <= _WITH_BONE or shares[ct] >= _WITHOUT_BONE:
        return []
    text = (
        f"{other} and {ct} look swapped: {shares[other]:.0%} of what is seen in pictures called {other} is white, as "
        f"bone in a CT, and {shares[ct]:.0%} of those called {ct}; look at them, and at the order of tiles or the "
        "names of the folders"
    )
    return [Finding("warning", "swapped", text, len(files))]


def _format_shortcuts(files, labels):
    """How well the label can be told from the file alone, without looking at the anatomy."""
    truth = [file.label for file in files]
    majority = max(Counter(truth).values()) / len(truth)
    for topic, key in (
        ("file format", lambda file: file.facts.format),
        ("colour mode", lambda file: file.facts.mode),
        ("bit depth", lambda file: f"{file.facts.bits} bit"),
        ("image size", lambda file: f"{file.facts.width}x{file.facts.height}"),
    ):
        values = [key(file) for file in files]
        table: dict[str, Counter] = {}
        for value, label in zip(values, truth):
            table.setdefault(value, Counter())[label] += 1
        accuracy = sum(max(counts.values()) for counts in table.values()) / len(truth)
        if len(labels) > 1 and accuracy - majority > 0.1:
            usual = "; ".join(f"{label} " + _common(values, truth, label) for label in labels)
            text = f"{topic} alone tells the label in {accuracy:.0%} of the files (guessing: {majority:.0%}): {usual}"
            yield Finding("warning", f"shortcut, {topic}", text, len(files), ())
    misnamed = [not (file.facts.is_volume or _named_as_it_is(file)) for file in files]
    if any(misnamed):
        text = f"{sum(misnamed)} files have another format than their names say"
        yield Finding("note", "misnamed", text, sum(misnamed), _names(files, misnamed))


def _named_as_it_is(file: Scan) -> bool:
    ending = file.name.rsplit(".", 1)[-1].lower()
    assert file.facts is not None  # a good file
    return {"jpg": "jpeg", "tif": "tiff"}.get(ending, ending) == file.facts.format.lower()


def _common(values, truth, label) -> str:
    counts = Counter(value for value, owner in zip(values, truth) if owner == label)
    (value, count), total = counts.most_common(1)[0], sum(counts.values())
    return f"{value} {count / total:.0%}" + (f" of {len(counts)} kinds" if len(counts) > 1 else "")


def _wrong_kind(files, groups, labels, remember):
    """Files that look like another label, like no other file, or not like an axial head.

    The first is asked of a logistic regression on gray-value histograms, out of fold and by group, so no file (nor its
    copy) is judged by a model that was trained on it. These are suspects for a person to look at, not verdicts.
    """
    truth = np.array([file.label for file in files])
    if len(labels) > 1 and len(files) >= 40:
        own = remember("own probability 1", lambda: _own_probability(files, truth, groups, labels), groups)
        for label in labels:
            suspect = (own < _SUSPECT_PROBABILITY) & (truth == label)
            if suspect.any():
                text = f"{label}: {suspect.sum()} files have gray values like another label's; look at them"
                yield Finding("warning", "looks like another label", text, int(suspect.sum()), _names(files, suspect))
    alone = remember("alone 1", lambda: _resemble_nothing(files, groups), groups)
    for label in labels:
        mine = truth == label
        wide = np.array([file.aspect > _WIDE_HEAD for file in files]) & mine
        if wide.any():
            text = f"{label}: {wide.sum()} files show something wider than tall, perhaps no axial head; look at them"
            yield Finding("note", "not an axial head", text, int(wide.sum()), _names(files, wide))
        odd = np.array([bool(file.unlike) for file in files]) & mine
        if odd.any():
            text = f"{label}: {odd.sum()} files show something whose outline is unlike a head's; look at them"
            yield Finding("note", "unlike a head", text, int(odd.sum()), _names(files, odd))
        lonely = mine & alone
        if lonely.any():
            text = f"{label}: {lonely.sum()} files resemble no other file; look at them"
            yield Finding("note", "unlike all others", text, int(lonely.sum()), _names(files, lonely))


def _own_probability(files, truth: np.ndarray, groups: np.ndarray, labels) -> np.ndarray:
    """What others' gray values say of each file's label; 1, no suspicion, where the others do not have every label."""
    own = np.ones(len(truth))
    folds = min(5, *(len(set(groups[truth == label].tolist())) for label in labels))
    if folds < 2:
        return own
    # The square root turns counts into features of about equal variance.
    histograms = np.sqrt(np.concatenate([_histograms(_thumbnails(files, part)) for part in _blocks(len(files))]))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000))
    for others, held in GroupKFold(folds).split(histograms, truth, groups):
        if len(set(truth[others].tolist())) == len(labels):  # few groups, such as patients, may hold all of a label
            chances = model.fit(histograms[others], truth[others]).predict_proba(histograms[held])
            own[held] = chances[np.arange(len(held)), np.searchsorted(labels, truth[held])]
    return own


def _histograms(thumbnails: np.ndarray) -> np.ndarray:
    """``(n, 32)``, shares of the pixels in 32 equal bins of the 256 gray values."""
    bins = np.minimum(thumbnails.reshape(len(thumbnails), -1) * (32 / 255), 31).astype(np.intp)
    bins += np.arange(len(bins))[:, None] * 32
    return np.bincount(bins.ravel(), minlength=32 * len(bins)).reshape(-1, 32) / thumbnails[0].size


def _resemble_nothing(files, groups: np.ndarray) -> np.ndarray:
    """``(n,)`` bool: no file of another group correlates at `_LONELY_CORRELATION` with this one.

    Most resemble one of the first few that they are compared with, so few are compared with all.
    """
    alone = np.arange(len(files))
    # In an order in which neighbours by name, which are alike, do not stand together.
    order = _ORDER.numpy(0, len(files)).permutation(len(files))
    for start in range(0, len(files), _BLOCK):
        chosen = order[start : start + _BLOCK]
        others = standardised(_thumbnails(files, chosen))
        left = []
        for part in _blocks(len(alone)):
            mine = alone[part]
            correlation = standardised(_thumbnails(files, mine)) @ others.T
            correlation[groups[mine, None] == groups[chosen][None]] = -1
            left.append(mine[correlation.max(axis=1) < _LONELY_CORRELATION])
        alone = np.concatenate(left)
        if not alone.size:
            break
    return np.isin(np.arange(len(files)), alone)


def _blocks(count: int) -> list[np.ndarray]:
    """Numbers of files, some at a time: all thumbnails at once would take the memory of a training."""
    return np.array_split(np.arange(count), max(1, -(-count // _BLOCK)))


def _thumbnails(files, chosen: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(files[k].thumbnail) for k in chosen.tolist()])
