"""Aligned pictures of one size, on which outputs are compared with their truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.measurement.measurement import FEWEST_GROUPS
from common_tf.pictures.preparation import Preparation
from common_tf.pictures.readers import BadPicture, FileFacts
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.pairs import pair_source, paired_folders, split_place
from common_tf.sources.source import SPLIT_FOLDERS, Case, Loaded, Source, listed
from common_tf.splits.audit import swapped_finding
from common_tf.splits.manifest import ManifestRow
from evaluation_tf.images import Images, for_scaled_domains, scaled_pictures
from evaluation_tf.requests import refuse
from evaluation_tf.seen import seen_cases_by
from evaluation_tf.slices import TestSet, cases_to_test
from evaluation_tf.translations import Translations

_EMPTY = ("constant (every pixel", "blank: no head found")


@dataclass(frozen=True, eq=False)
class Pairs:
    """Aligned pictures.

    Attributes:
        name: what to call the set.
        images: by domain name, uint8.
        mask: bool, the head.
        groups: ``(n,)`` the patient of each, or its group of near-duplicates.
        group_word: what the groups are.
        lesion: ``(n, height, width)`` bool where it is known.
        warnings: what was left out.
    """

    name: str
    images: Mapping[str, Images]
    mask: Images
    groups: np.ndarray
    group_word: str
    lesion: np.ndarray | None = None
    warnings: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.mask)

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    @property
    def interval_groups(self) -> np.ndarray | None:
        """What intervals resample: groups where there are enough of them, else slices (``None``) with a caveat."""
        return self.groups if self.group_count >= FEWEST_GROUPS else None

    @property
    def interval_of(self) -> str:
        """What those are, in words."""
        enough = self.group_count >= FEWEST_GROUPS
        return self.group_word if enough else f"slices of {self.group_count} {self.group_word}"

    @property
    def caveats(self) -> list[str]:
        """What a reader must not overlook."""
        few = []
        if self.group_count < FEWEST_GROUPS:
            few = [
                f"the pairs are slices of {self.group_count} {self.group_word}: their intervals say nothing of other "
                f"{'patients' if self.group_word == 'patients' else 'heads'}"
            ]
        return [*self.warnings, *few]


@dataclass(frozen=True)
class PairFolder:
    """A folder of pairs that has been looked at.

    Attributes:
        folder: that the user named.
        dataset: the pairs to test on, scanned.
        training: further pairs, on which floors are fitted; perhaps none.
        warnings: what was left out.
    """

    folder: Path
    dataset: Dataset
    training: Sequence[Case]
    warnings: Sequence[str] = ()

    def without(self, drop: np.ndarray, warnings: Sequence[str]) -> "PairFolder":
        """Without some of the test pairs."""
        kept = np.flatnonzero(~drop)
        dataset = replace(
            self.dataset,
            cases=[self.dataset.cases[index] for index in kept],
            scans=[self.dataset.scans[index] for index in kept],
            groups=self.dataset.groups[kept],
        )
        return replace(self, dataset=dataset, warnings=[*self.warnings, *warnings])


def open_pairs(folder: Path, *, domains: Sequence[str], usual: str, order: str | None = None) -> PairFolder:
    """Looks at a folder of aligned pairs, or of splits with pairs.

    Args:
        folder: with pairs, or with train/ and test/, or one of these.
        domains: names of domain A and B.
        usual: names of a strip's tiles, from the left, as a run reads them.
        order: the same as the user gave it, which goes before.

    Raises:
        UserError: no pairs, an order where there are no strips, or files that cannot be used.
    """
    folder = Path(folder)
    source = pair_source(folder, domains=domains, order=order or usual)
    if order is not None and not any(len(set(case.paths.values())) == 1 for case in source.cases):
        refuse("pair_order", order, f"is for strips, and --pairs {folder} holds none")
    test = cases_to_test(source.cases)
    training = [case for case in source.cases if case.given_split == "train" != test[0].given_split]
    beside = split_place(folder, "train") if folder.name.lower() in SPLIT_FOLDERS else None
    if not training and beside is not None and beside.resolve() != folder.resolve():
        training = list(pair_source(beside, domains=domains, order=order or usual).cases)
    return _opened(folder, replace(source, cases=test), training)


def open_paired_folders(sides: Mapping[str, Path]) -> PairFolder:
    """Looks at aligned pictures of two folders, each with the same file names.

    Args:
        sides: folder by label.

    Raises:
        UserError: no pictures, partners that are missing, or files that cannot be used.
    """
    return _opened(next(iter(sides.values())), paired_folders(sides), ())


def _opened(folder: Path, source: Source, training: Sequence[Case]) -> PairFolder:
    dataset = open_dataset(source, bad_files="skip")
    broken = list(dict.fromkeys(f"{row.path}: {row.note}" for row in dataset.skipped if not is_empty(row)))
    if broken:
        raise UserError(f"{folder}: {len(broken)} files cannot be used ({listed(broken)}); mend or remove them")
    kept = {case.name for case in dataset.cases}
    empty = [case.name for case in source.cases if case.name not in kept]
    swapped = swapped_finding([scan for mine in dataset.scans for scan in mine])
    warnings = [finding.text for finding in [*dataset.findings, *swapped] if finding.severity == "warning"]
    if empty:
        warnings.append(
            f"{len(empty)} pairs without a head on one of their sides are left out: {listed(empty, most=5)}"
        )
    return PairFolder(folder, dataset, training, warnings)


def folder_pairs(opened: PairFolder, runs: Sequence[Translations]) -> tuple[Pairs, Pairs | None]:
    """The test pairs of a folder, and those that floors are fitted on.

    Args:
        opened: from `open_pairs`.
        runs: that they are compared with; they must agree about black and white.

    Raises:
        UserError: pairs of several sizes, or values whose black or white cannot be known.
    """
    flag = f"--pairs {opened.folder}"

    def preparation(name: str, facts: Mapping[str, FileFacts]) -> Preparation:
        return _common_preparation(runs, facts, name, flag)

    return prepared_pairs(opened, runs[0].domains, preparation, flag=flag)


def prepared_pairs(
    opened: PairFolder,
    labels: Sequence[str],
    preparation: Callable[[str, Mapping[str, FileFacts]], Preparation],
    *,
    flag: str,
) -> tuple[Pairs, Pairs | None]:
    """The test pairs of a folder, and those that floors are fitted on.

    Args:
        opened: from `open_pairs` or `open_paired_folders`.
        labels: of the two sides.
        preparation: of a side's label and files, by name: where their black and white lie.
        flag: and folder, as the user named them, for errors.

    Raises:
        UserError: pairs of several sizes.
    """
    training = _loaded(opened.training)
    loaded = _loaded(opened.dataset.cases)
    facts: dict[str, dict[str, FileFacts]] = {name: {} for name in labels}
    for cases, some in ((opened.dataset.cases, loaded), (opened.training, training)):
        for case, one in zip(cases, some):
            for name in labels:
                facts[name][case.files[name]] = one.facts[name]
    preparations = {name: preparation(name, facts[name]) for name in labels}
    words = f"pairs of {opened.folder.name}"
    pairs = replace(
        _pairs(loaded, preparations, words, opened.dataset.groups, opened.dataset.group_word, flag),
        warnings=opened.warnings,
    )
    if not training:
        return pairs, None
    return pairs, _pairs(training, preparations, words, np.arange(len(training)), "slices", flag)


def drawn_pairs(translations: Translations) -> tuple[Pairs, Pairs]:
    """Drawn heads that a run has not seen, and the heads behind its training, on which floors are fitted."""
    held_out, training = _loaded(translations.held_out_heads), _loaded(translations.training_heads)
    # As truth.py has them: 8 bits, 0 is black and 255 white.
    preparations = for_scaled_domains(translations.translator.preparations)
    test, fitting = (
        _pairs(some, preparations, "drawn heads", np.arange(len(some)), "drawn heads", "--data")
        for some in (held_out, training)
    )
    return test, fitting


def own_pairs(test: TestSet, translations: Translations) -> tuple[Pairs, Pairs | None]:
    """The aligned cases that a test set is made of, and those of the training, on which floors are fitted."""
    domains = translations.domains
    loaded, fitting = _loaded(test.cases), _loaded(test.training_cases)
    facts: dict[str, dict[str, FileFacts]] = {name: {} for name in domains}
    for case, one in zip([*test.cases, *test.training_cases], [*loaded, *fitting]):
        for name in domains:
            facts[name][case.files[name]] = one.facts[name]
    preparations = {name: _common_preparation([translations], facts[name], name, "--data") for name in domains}
    first, words = test.slices[domains[0]], "the run's own test pairs"
    pairs = _pairs(loaded, preparations, words, first.groups, first.group_word, "--data")
    if not fitting:
        return pairs, None
    return pairs, _pairs(fitting, preparations, words, np.arange(len(fitting)), first.group_word, "--data")


def refuse_or_leave_out(opened: PairFolder, run: Path, *, flag: str = "--translator") -> PairFolder:
    """Without the pairs that a run has (nearly) seen in its training.

    Args:
        opened: pairs.
        run: its folder.
        flag: what the user named it by.

    Raises:
        UserError: none is left, or nobody can tell.
    """
    seen = seen_cases_by(run, opened.dataset, flag=flag)
    if seen.all():
        raise UserError(
            f"--pairs {opened.folder}: {run} was trained on all {len(seen)} of these pairs, or on nearly the same "
            "ones; give pairs that it has not seen"
        )
    if not seen.any():
        return opened
    text = f"{int(seen.sum())} of {len(seen)} pairs are (nearly) in the training of {run.name}; left out"
    return opened.without(seen, [text])


def is_empty(row: ManifestRow) -> bool:
    """Whether a picture was left out because nothing is on it, and not because it is damaged."""
    return any(word in row.note for word in _EMPTY)


def _loaded(cases: Sequence[Case]) -> list[Loaded]:
    loaded: list[Loaded] = []
    for case in cases:
        try:
            loaded.append(case.load())
        except BadPicture as error:
            raise UserError(f"{next(iter(case.paths.values()), case.name)}: {error}; mend or remove it") from error
    return loaded


def _common_preparation(
    runs: Sequence[Translations], facts: Mapping[str, FileFacts], name: str, flag: str
) -> Preparation:
    """The preparation of a domain's files, about whose black and white all runs must agree."""
    found = [run.preparation(facts, source=name, flag=flag) for run in runs]
    deep = any(one.is_deep for one in facts.values())
    scales = {(one.low, one.high) if deep or not one.depth else () for one in found}
    if len(scales) > 1:
        raise UserError(
            f"{flag}: the runs take different values for the black and white of {name}; compare runs of one --window"
        )
    return found[0]


def _pairs(
    loaded: Sequence[Loaded], preparations: Mapping[str, Preparation], name: str, groups, group_word: str, flag: str
) -> Pairs:
    sizes = {one.pictures[domain].pixels.shape for one in loaded for domain in preparations}
    if len(sizes) > 1:
        words = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise UserError(f"{flag}: pairs must have one size, found {words}; resize them alike")
    images = {
        domain: scaled_pictures([one.pictures[domain] for one in loaded], preparation).images()
        for domain, preparation in preparations.items()
    }
    first = next(iter(preparations))
    lesions = [one.lesion for one in loaded if one.lesion is not None]
    return Pairs(
        name=name,
        images=images,
        mask=Images.of(np.stack([head for one in loaded if (head := one.pictures[first].head) is not None])),
        groups=np.asarray(groups),
        group_word=group_word,
        lesion=np.stack(lesions) if len(lesions) == len(loaded) else None,
    )
