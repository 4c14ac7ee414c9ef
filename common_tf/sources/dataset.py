"""A source that has been looked at: scanned, hashed, grouped, audited and counted, or said that it was not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.garbage import without_collecting
from common_tf.pictures.geometry import BLANK_EXTENT, head_extent
from common_tf.pictures.head import head_mask
from common_tf.pictures.preparation import Preparation, learn_preparation
from common_tf.pictures.readers import FileFacts
from common_tf.sources.scan_store import Remembered, ScanStore
from common_tf.sources.scanning import Scan
from common_tf.sources.scans import open_store, scan_cases
from common_tf.sources.source import Case, Source, listed
from common_tf.splits.audit import audit, contrast_finding
from common_tf.splits.finding import Finding, sorted_findings
from common_tf.splits.groups import group_numbers, near_duplicate_pairs
from common_tf.splits.manifest import ManifestRow, manifest_row
from common_tf.splits.seen import seen_in_training

SPLITS = ("train", "validation", "test")
_MEASURED_HEADS = 50
_ALIKE_SHARE = 0.5


@dataclass(frozen=True)
class Dataset:
    """Usable cases and what is known of them.

    Attributes:
        source: where they come from.
        cases: usable ones.
        scans: of each case, one a picture; empty lists for drawn heads, which are not scanned.
        groups: ``(n,)`` int; cases of one group stand on one side of a split.
        group_word: what the groups are: patients, near-duplicate groups, drawn heads.
        skipped: manifest rows of what is left out, with the reason.
        findings: what is to be said before the splits are known.
        store: where what is computed of the scans is kept; ``None`` for nowhere.
    """

    source: Source
    cases: Sequence[Case]
    scans: Sequence[Sequence[Scan]]
    groups: np.ndarray
    group_word: str
    skipped: Sequence[ManifestRow]
    findings: Sequence[Finding]
    store: ScanStore | None = None

    @property
    def is_drawn(self) -> bool:
        """Whether its heads are drawn."""
        return self.source.kind == "drawn"

    @property
    def given(self) -> list[str]:
        """The split that each case's folder gives; training where it gives none."""
        return [case.given_split or "train" for case in self.cases]

    def facts(self, label: str, chosen: Sequence[int]) -> list[FileFacts]:
        """What the files of a label say of themselves, of chosen cases; of drawn heads nothing needs to be asked."""
        found = [_scan_of(self.scans[index], label) for index in chosen]
        return [scan.facts for scan in found if scan is not None and scan.facts is not None]

    def preparation(
        self,
        label: str,
        chosen: Sequence[int],
        *,
        framing: str,
        window: tuple[float, float] | None = None,
        shows: tuple[float, float] | None = None,
    ) -> Preparation:
        """How a label's pictures become squares.

        The usual head extent is learned from chosen cases, such as those for training. Black and white are those of all
        files of the label: deep files share one scale, of which the chosen ones alone might miss the top.

        Raises:
            UserError: gray values whose black cannot be known.
        """
        if self.is_drawn:
            some = chosen[:_MEASURED_HEADS]
            extents = [_drawn_extent(self.cases[index].load().pictures[label]) for index in some]
            millimetres = []
        else:
            scans = [scan for scan in (_scan_of(self.scans[i], label) for i in chosen) if scan is not None]
            extents, millimetres = [scan.extent for scan in scans], [scan.extent_mm for scan in scans]
        facts = self.facts(label, range(len(self.cases)))
        return learn_preparation(
            framing=framing,
            extents=extents,
            extents_mm=millimetres,
            facts=facts,
            name=label,
            window=window,
            shows=shows,
        )

    def contrast(self, label: str, preparation: Preparation) -> list[Finding]:
        """A finding where a label's black and white leave little of the gray scale to the heads. Volumes are not asked:
        all of their values are wanted, and kept in more than 8 bits.
        """
        scans = [scan for mine in self.scans if (scan := _scan_of(mine, label)) is not None]
        files = [scan for scan in scans if scan.facts is not None and not scan.facts.is_volume]
        return contrast_finding(files, label, preparation.low, preparation.high)

    @without_collecting()
    def rows(self, splits: Sequence[str]) -> list[ManifestRow]:
        """The manifest: every picture with its split, and what is left out."""
        rows = []
        for case, scans, group, split in zip(self.cases, self.scans, self.groups.tolist(), splits):
            if scans:
                rows += [manifest_row(scan, split=split, group=group) for scan in scans]
            else:
                rows += [
                    ManifestRow(name, label, "", "", f"{group:05d}", case.given_split, split, "drawn")
                    for label, name in case.files.items()
                ]
        order = {name: number for number, name in enumerate((*SPLITS, "unused", "skipped"))}
        everything = [*rows, *self.skipped]
        return sorted(everything, key=lambda row: (row.label, order.get(row.split, len(order)), row.path))

    @without_collecting()
    def audited(self, splits: Sequence[str]) -> list[Finding]:
        """All findings, with those that depend on the splits; the worst first."""
        if self.is_drawn:
            return list(self.findings)
        flat = [
            (scan, group, split)
            for scans, group, split in zip(self.scans, self.groups.tolist(), splits)
            for scan in _distinct(scans, self.source.kind)
        ]
        scans, groups, sides = zip(*flat)
        remember = Remembered(self.store, scans)
        found = audit(
            scans, np.array(groups), sides, of=self.group_word, aligned=self.source.is_aligned, remember=remember
        )
        return sorted_findings([*found, *self.findings])

    def counts(self, splits: Sequence[str], labels: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many pictures of each label stand in each split."""
        return {
            label: {
                side: sum(label in case.files and split == side for case, split in zip(self.cases, splits))
                for side in SPLITS
            }
            for label in labels
        }

    def seen(self, manifest: Path, *, flag: str) -> np.ndarray:
        """Which cases hold a picture that is (nearly) among the training and validation files of a manifest, ``(n,)``.

        Raises:
            UserError: no manifest.
        """
        return seen_cases(self.scans, manifest, flag=flag)


def open_dataset(
    source: Source, *, bad_files: str = "stop", exclude: str = "", keep_blank: bool = False, cache: str = ""
) -> Dataset:
    """Scans, groups and counts a source.

    Args:
        source: of any kind.
        bad_files: ``stop`` or ``skip``.
        exclude: manifest.csv of another run; a group with a near-duplicate of its training or validation files is left
            out whole. ``""`` for none.
        keep_blank: keep cases in which no head is found.
        cache: folder where what is seen of the files is kept; ``""`` for the usual one.

    Raises:
        UserError: files that cannot be used and ``stop``, nothing that can be used, or no manifest.
    """
    if source.kind == "drawn":
        return _drawn(source)
    store = open_store(cache)
    scans = scan_cases(source.cases, store)
    bad = [any(scan.problem for scan in mine) for mine in scans]
    if any(bad) and bad_files == "stop":
        reasons = [f"{mine[0].name}: {_problem(mine)}" for mine, wrong in zip(scans, bad) if wrong]
        raise UserError(f"{sum(bad)} files cannot be used ({listed(reasons)}); mend them or add --bad-files skip")
    blank = [
        not wrong and not keep_blank and all(scan.extent < BLANK_EXTENT for scan in mine)
        for mine, wrong in zip(scans, bad)
    ]
    skipped = [
        manifest_row(scan, split="skipped", group=None, note=_problem(mine) or "blank: no head found")
        for mine, wrong, empty in zip(scans, bad, blank)
        if wrong or empty
        for scan in mine
    ]
    findings = [*source.findings]
    for note, flags in (("blank slices, left out", blank), ("unusable files, left out", bad)):
        names = tuple(mine[0].name for mine, out in zip(scans, flags) if out)
        if names:
            findings.append(Finding("note", note, f"{len(names)} {note}", len(names), names))
    kept = [index for index in range(len(scans)) if not bad[index] and not blank[index]]
    cases, scans = [source.cases[index] for index in kept], [scans[index] for index in kept]
    if not cases:
        raise UserError(f"{source.root}: none of its {len(source.cases)} files can be used ({_most_common(skipped)})")
    distinct = [_distinct(mine, source.kind) for mine in scans]
    remembered = Remembered(store, [scan for mine in distinct for scan in mine])
    groups, word, linked = _groups(cases, distinct, remembered)
    findings += [*linked, *_mask_findings(scans)]
    if exclude:
        dropped = np.isin(groups, groups[seen_cases(scans, Path(exclude), flag="--exclude")])
        skipped += [
            manifest_row(scan, split="skipped", group=int(group), note="excluded: in the training of another run")
            for mine, group, drop in zip(scans, groups, dropped)
            if drop
            for scan in mine
        ]
        text = f"{dropped.sum()} files share a group with the training files of {exclude}; left out"
        findings.append(Finding("note", "excluded", text, int(dropped.sum())))
        kept = np.flatnonzero(~dropped).tolist()
        cases, scans, groups = [cases[i] for i in kept], [scans[i] for i in kept], groups[~dropped]
        if not cases:
            raise UserError(f"--exclude {exclude}: leaves nothing of {source.root}")
    return Dataset(source, cases, scans, groups, word, skipped, findings, store)


def seen_cases(scans: Sequence[Sequence[Scan]], manifest: Path, *, flag: str) -> np.ndarray:
    """`Dataset.seen` for scans of cases."""
    flat = [scan for mine in scans for scan in mine]
    owners = np.repeat(np.arange(len(scans)), [len(mine) for mine in scans])
    seen = np.zeros(len(scans), bool)
    seen[owners[seen_in_training(flat, manifest, flag=flag)]] = True
    return seen


def _drawn(source: Source) -> Dataset:
    note = Finding("note", "drawn", "drawn heads, each of its own seed; there is nothing to audit", len(source.cases))
    none: list[list[Scan]] = [[] for _ in source.cases]
    return Dataset(source, source.cases, none, np.arange(len(source.cases)), "drawn heads", (), (note,))


@without_collecting()
def _groups(
    cases: Sequence[Case], scans: Sequence[Sequence[Scan]], remembered: Remembered
) -> tuple[np.ndarray, str, list[Finding]]:
    """Patients where they are known, joined by copies; near-duplicates where not.

    Two named patients are two groups although slices of theirs look alike, unless a file of one is a copy of a file of
    the other. What looks alike all the same is said.
    """
    flat = [(index, scan) for index, mine in enumerate(scans) for scan in mine]
    owners = np.array([index for index, _ in flat])
    files = [scan for _, scan in flat]
    patients = np.array([case.patient for case in cases])
    joined = np.unique(patients, return_inverse=True)[1]
    joined[patients == ""] = -1
    pairs = remembered(
        "pairs 1", lambda: near_duplicate_pairs(files, joined=joined[owners]).ravel(), joined[owners]
    ).reshape(-1, 2)
    digests = np.array([scan.sha256 for _, scan in flat])
    copies = digests[pairs[:, 0]] == digests[pairs[:, 1]] if len(pairs) else np.zeros(0, bool)
    links = owners[pairs] if len(pairs) else np.zeros((0, 2), int)
    named = (patients[links] != "").all(axis=1)
    apart = named & ~copies & (patients[links[:, 0]] != patients[links[:, 1]])
    findings = []
    suspicious = apart.copy()
    suspicious[apart] = _are_one_head(cases, patients, links[apart])
    if suspicious.any():
        names = sorted({cases[index].name for index in links[suspicious].ravel()})
        text = f"{len(names)} files of different patients look like the same slice; look at them"
        findings.append(Finding("warning", "alike patients", text, len(names), tuple(names)))
    known = {name: np.flatnonzero(patients == name) for name in sorted(set(patients.tolist()) - {""})}
    same = [np.stack([mine[:-1], mine[1:]], axis=1) for mine in known.values() if len(mine) > 1]
    groups = group_numbers(len(cases), np.concatenate([links[~apart], *same]))
    word = "patients" if known and all(patients != "") else "near-duplicate groups"
    return groups, word, findings


def _are_one_head(cases: Sequence[Case], patients: np.ndarray, links: np.ndarray) -> np.ndarray:
    """Which links of slices of two patients speak for one head under two names, ``(n,)`` bool.

    Of single pictures any does. Among a hundred slices of a volume some look like some of another's, near the vertex
    above all; of one head in two volumes most slices have their like.
    """
    found = np.ones(len(links), bool)
    whole = np.flatnonzero([all(cases[index].volume is not None for index in link) for link in links.tolist()])
    names, which = np.unique(np.sort(patients[links[whole]], axis=1), axis=0, return_inverse=True)
    for number, (first, second) in enumerate(names.tolist()):
        mine = whole[which.ravel() == number]
        slices = np.unique(links[mine])
        shares = [(patients[slices] == name).sum() / (patients == name).sum() for name in (first, second)]
        found[mine] = min(shares) >= _ALIKE_SHARE
    return found


def _mask_findings(scans: Sequence[Sequence[Scan]]) -> list[Finding]:
    notes = Counter(note for mine in scans for note in mine[0].notes)
    return [Finding("note", "masks", f"{count} files have {note}", count) for note, count in notes.most_common()]


def _distinct(scans: Sequence[Scan], kind: str) -> Sequence[Scan]:
    """Of pictures that are channels of one file, the first; else all."""
    return scans[:1] if kind == "segmentation" else scans


def _scan_of(scans: Sequence[Scan], label: str) -> Scan | None:
    return next((scan for scan in scans if scan.label == label), None)


def _problem(scans: Sequence[Scan]) -> str:
    return next((scan.problem for scan in scans if scan.problem), "")


def _most_common(rows: Sequence[ManifestRow]) -> str:
    return ", ".join(f"{count} {note}" for note, count in Counter(row.note for row in rows).most_common(3))


def _drawn_extent(picture) -> float:
    return head_extent(head_mask(picture.scaled()) if picture.head is None else picture.head)


def split_lines(counts: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Counts by label and split as lines for a terminal."""
    return [
        f"  {label:8}" + ", ".join(f"{count} {split}" for split, count in mine.items())
        for label, mine in counts.items()
    ]
