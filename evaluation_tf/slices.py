"""The slices that a translator is judged on, as the squares that its networks see."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation
from common_tf.pictures.readers import FileFacts
from common_tf.randomness import Stream
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import Dataset, open_dataset
from common_tf.sources.drawn import DRAWN
from common_tf.sources.folders import folder_source
from common_tf.sources.scanning import Scan
from common_tf.sources.source import SPLIT_FOLDERS, Case, Loaded, Source
from common_tf.splits.manifest import MANIFEST_FILE, read_manifest
from common_tf.volumes.slices import middle_of_slabs
from cyclegan_tf.data import translation_source
from cyclegan_tf.systems import system_class
from evaluation_tf.images import Images, for_scaled
from evaluation_tf.recorded import RecordedFiles
from evaluation_tf.seen import seen_cases_by
from evaluation_tf.translations import Translations

_REFERENCE = Stream("evaluation.training_slices")
_FITTED = 300
_LEFT_OUT = ("unusable files, left out", "blank slices, left out")
_GROUPS = "groups (near-duplicates, or patients where they are known)"


@dataclass(frozen=True)
class Slices:
    """Test slices of one domain.

    Attributes:
        domain: its name.
        squares: uint8, prepared as in training.
        masks: bool, the head.
        groups: ``(n,)`` near-duplicates (or slices of a patient) share a group.
        group_word: what the groups are.
        training: uint8, real slices of the training set, at most as many as are tested; perhaps none.
        training_groups: of each of them.
        scans: of each slice; empty for drawn heads.
    """

    domain: str
    squares: Images
    masks: Images
    groups: np.ndarray
    group_word: str
    training: Images
    training_groups: np.ndarray
    scans: Sequence[Scan] = ()


@dataclass(frozen=True)
class TestSet:
    """Both domains, and what is to be said of how they were chosen.

    Attributes:
        slices: by domain name.
        origin: one sentence.
        warnings: anything that makes the figures worth less.
        cases: the test cases of a run on aligned pairs.
        training_cases: some of its training's, on which floors are fitted.
        kind: see `common_tf.sources.source.Source`.
    """

    __test__ = False  # no test class, whatever pytest thinks of its name

    slices: Mapping[str, Slices]
    origin: str
    warnings: Sequence[str]
    cases: Sequence[Case] = ()
    training_cases: Sequence[Case] = ()
    kind: str = "folders"

    @property
    def is_drawn(self) -> bool:
        """Whether its heads are drawn."""
        return self.kind == "drawn"


def load_test_set(translations: Translations, data: str) -> TestSet:
    """The test slices of both domains: those of the run's manifest, or of a folder that the run did not train on.

    Args:
        translations: of the run.
        data: ``phantom``, or a folder as for training; testA/ and testB/ are enough.

    Raises:
        UserError: no such folder, files that are not those of the manifest, or no slices left to test on.
    """
    if data == DRAWN:
        return _drawn(translations)
    folder = Path(data)
    if not folder.is_dir():
        raise UserError(f"--data {data}: no such folder; give one with testA/ and testB/, or {DRAWN}")
    rows = read_manifest(translations.run / MANIFEST_FILE)
    source = _source(translations, folder)
    known = RecordedFiles(source, rows)
    if known.has_all_test_slices(translations.domains) and known.is_the_runs_own():
        return _own(translations, source, known, folder)
    return _foreign(translations, source, folder)


def cases_to_test(cases: Sequence[Case]) -> list[Case]:
    """The cases to test on: those of a test folder, else those without one, of a validation or training folder."""
    for wanted in ("test", "", "validation", "train"):
        found = [case for case in cases if case.given_split == wanted]
        if found:
            return found
    return []


def _source(translations: Translations, folder: Path) -> Source:
    """As for training; a folder of two domains may lack its training side here."""
    config, preparations = translations.config, translations.translator.preparations
    windows = {name: one.physical for name, one in preparations.items() if one.physical is not None}
    names = [f"{split}{letter}" for split in SPLIT_FOLDERS for letter in "AB"]
    present = {item.name.lower() for item in folder.iterdir() if item.is_dir()}
    if present & {name.lower() for name in names}:
        domains, slicing = config.data.domain_names, config.data.slicing
        return folder_source(folder, domains=domains, needs_training=False, windows=windows, slicing=slicing)
    return translation_source(config, data=str(folder), paired=system_class(config.model).wants_pairs)


def _own(translations: Translations, source: Source, known: RecordedFiles, folder: Path) -> TestSet:
    slices, warnings, cases = {}, [], {}
    for name in translations.domains:
        test, every = known.rows(name, "test"), known.rows(name, "train")
        # Aligned pictures of one head stay together.
        order = _REFERENCE.numpy(0, "pairs" if source.is_aligned else name).permutation(len(every))
        fitted = order[: _FITTED if source.is_aligned else len(test)]
        known.verify([every[index] for index in fitted])
        training = [every[index] for index in sorted(fitted[: len(test)])]
        if source.is_aligned:
            cases = {
                "cases": [known.case(row) for row in test],
                "training_cases": [known.case(every[index]) for index in sorted(fitted)],
            }
        if known.leaked(name):
            warnings.append(
                f"{known.leaked(name)} of {len(test)} {name} test slices share a group with slices that the run was "
                "trained on"
            )
        if known.extra(name):
            warnings.append(
                f"{known.extra(name)} {name} test files of {folder.name} are not in the run's manifest; left out"
            )
        scans = [known.scan(row) for row in test]
        preparation = translations.translator.preparations[name]
        if preparation.depth == 8:
            preparation = translations.preparation(_facts(scans), source=name, flag=f"--data {folder}")
        warnings += _clipped(name, scans, preparation)
        slices[name] = _slices(
            translations,
            preparation,
            name,
            [known.case(row) for row in test],
            scans,
            groups=np.array([row.group for row in test]),
            group_word=_GROUPS,
            training=([known.case(row) for row in training], [known.scan(row) for row in training]),
            training_groups=np.array([row.group for row in training]),
        )
    origin = "the test slices of the run's own manifest, whole near-duplicate groups"
    return TestSet(slices, origin, tuple(warnings), kind=source.kind, **cases)


def _facts(scans: Sequence[Scan]) -> dict[str, FileFacts]:
    return {scan.name: scan.facts for scan in scans if scan.facts is not None}


def _clipped(label: str, scans: Sequence[Scan], preparation: Preparation) -> list[str]:
    """As in training, what lies above white stays white; but it is said."""
    above = sum(
        scan.facts is not None and scan.facts.is_deep and scan.facts.largest > preparation.high for scan in scans
    )
    if not above or not preparation.depth:
        return []
    return [
        f"{above} {label} test slices hold values above {preparation.high:g}, the white of the training; they are "
        "clipped"
    ]


def _foreign(translations: Translations, source: Source, folder: Path) -> TestSet:
    slices, warnings = {}, ["these are not the data that the run was trained on"]
    test = {name: cases_to_test([case for case in source.cases if name in case.files]) for name in translations.domains}
    both = list({case.name: case for cases in test.values() for case in cases}.values())
    for name, cases in test.items():
        if not cases:
            raise UserError(f"--data {folder}: holds no slices of {name}; give a folder with testA/ and testB/")
    dataset = open_dataset(replace(source, cases=both), bad_files="skip")
    warnings += [
        f"{folder.name}: {finding.text}"
        for finding in dataset.findings
        if finding.severity == "warning" or finding.topic in _LEFT_OUT
    ]
    seen = seen_cases_by(translations.run, dataset, flag="--translator")
    for name in translations.domains:
        mine = [index for index, case in enumerate(dataset.cases) if name in case.files]
        kept = [index for index in mine if not seen[index]]
        if len(kept) < len(mine):
            warnings.append(f"{len(mine) - len(kept)} of {len(mine)} {name} slices are in the run's training; left out")
        if not kept:
            raise UserError(f"--data {folder}: no usable {name} slice in it that the run has not trained on")
        slices[name] = _foreign_slices(translations, dataset, name, kept, folder)
    origin = f"all usable slices of {folder.name} that the run has not seen"
    aligned = [case for case, drop in zip(dataset.cases, seen) if not drop] if source.is_aligned else []
    return TestSet(slices, origin, tuple(warnings), cases=aligned, kind=source.kind)


def _foreign_slices(translations: Translations, dataset: Dataset, name: str, kept: list[int], folder: Path) -> Slices:
    scans = [next(scan for scan in dataset.scans[index] if scan.label == name) for index in kept]
    preparation = translations.preparation(_facts(scans), source=name, flag=f"--data {folder}")
    return _slices(
        translations,
        preparation,
        name,
        [dataset.cases[index] for index in kept],
        scans,
        groups=dataset.groups[kept],
        group_word=dataset.group_word,
        training=([], []),
        training_groups=np.zeros(0, int),
    )


def _drawn(translations: Translations) -> TestSet:
    config = translations.config
    heads, training = translations.held_out_heads, translations.training_heads
    # Unpaired systems see every head by itself, framed as it was found.
    aligned = system_class(config.model).wants_pairs
    slices = {}
    for name in translations.domains:
        # Domain B never saw these heads in training, but they are of the same kind: a reference may use them.
        mine, theirs = (
            list(cases) if aligned else [_alone(case, name) for case in cases]
            for cases in (heads, training[: len(heads)])
        )
        # What is drawn is scaled; a run on files may take other values of theirs for black and white.
        own = translations.translator.preparations[name]
        slices[name] = _slices(
            translations,
            own if config.data.data == DRAWN else for_scaled(own),
            name,
            mine,
            (),
            groups=np.arange(len(heads)),
            group_word="drawn heads",
            training=(theirs, ()),
            training_groups=np.arange(len(theirs)) + len(heads),
        )
    warnings = () if config.data.data == DRAWN else ("the run was trained on real slices; these heads are drawn",)
    origin = "drawn heads that no training of this seed sees"
    return TestSet(slices, origin, warnings, kind="drawn")


def _alone(case: Case, label: str) -> Case:
    """One picture of a case, without what is known of its head."""

    def load() -> Loaded:
        loaded = case.load()
        return Loaded({label: replace(loaded.pictures[label], head=None)}, {label: loaded.facts[label]})

    files = {label: case.files[label]}
    return replace(case, files=files, load=load, identity=f"{case.identity} alone {label}")


def _slices(
    translations: Translations,
    preparation: Preparation,
    label: str,
    cases: Sequence[Case],
    scans: Sequence[Scan],
    *,
    groups: np.ndarray,
    group_word: str,
    training: tuple[Sequence[Case], Sequence[Scan]],
    training_groups: np.ndarray,
) -> Slices:
    def squares(some: Sequence[Case], theirs: Sequence[Scan]) -> tuple[Images, Images]:
        size = translations.config.data.image_size
        made = prepared_slices(
            some,
            [[scan] for scan in theirs] or [[] for _ in some],
            label,
            preparation,
            size=size,
            folder=translations.cache.folder,
        )
        return Images.prepared(made), Images.of(middle_of_slabs(np.asarray(made.masks)))

    tested, masks = squares(cases, scans)
    none = Images.of(np.zeros((0, *tested.pixels.shape[1:]), np.uint8))
    return Slices(
        domain=label,
        squares=tested,
        masks=masks,
        groups=groups,
        group_word=group_word,
        training=squares(*training)[0] if training[0] else none,
        training_groups=training_groups,
        scans=scans,
    )
