"""The two domains of a training run: from folders, from aligned pairs, or drawn."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from common_tf.cache_folder import cache_folder
from common_tf.errors import UserError
from common_tf.pictures.preparation import Preparation
from common_tf.sources.cache import PreparedSlices, prepared_slices
from common_tf.sources.dataset import Dataset, open_dataset, split_lines
from common_tf.sources.drawn import DRAWN, drawn_domains
from common_tf.sources.folders import folder_source, is_two_domains
from common_tf.sources.pairs import DEFAULT_ORDER, holds_pairs, pair_source
from common_tf.sources.pipeline import DomainPipeline, Pipeline
from common_tf.sources.source import Source, listed
from common_tf.sources.started import without_seen
from common_tf.splits.assignment import assign_patients, assign_splits
from common_tf.splits.finding import Finding, audit_lines, sorted_findings
from common_tf.volumes.slices import middle_of_slabs
from common_tf.volumes.windows import fixed_window
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.pairs_beside import PairsBeside, load_pairs_beside, pair_pipeline

_PATIENT_SHARE = 0.15
_SAME_DISTANCE = 1.5


class PreparedImages(Protocol):
    """Images of a domain as networks see them: squares, slabs of slices, or cubes."""

    def scaled(self) -> np.ndarray:
        """float32 in [0, 1]."""

    @property
    def masks(self) -> np.ndarray:
        """The head, bool of the same shape."""


@dataclass(frozen=True)
class Domain:
    """One domain.

    Attributes:
        name: such as ``CT``.
        preparation: learned from its training slices.
    """

    name: str
    preparation: Preparation


@dataclass(frozen=True)
class TrainingData:
    """Both domains and what is to be said of them.

    Attributes:
        a, b: the domains.
        dataset: all usable cases.
        splits: of each case.
        findings: the audit.
        paired: the training uses that image ``i`` of one domain belongs to image ``i`` of the other.
        cache: folder of prepared slices.
        pairs: aligned ones beside.
    """

    a: Domain
    b: Domain
    dataset: Dataset
    splits: Sequence[str]
    findings: Sequence[Finding]
    paired: bool
    cache: Path
    pairs: PairsBeside | None = None

    def chosen(self, domain: Domain, split: str) -> list[int]:
        """The cases of a split that have a picture of a domain."""
        return [
            index
            for index, (case, side) in enumerate(zip(self.dataset.cases, self.splits))
            if side == split and domain.name in case.files
        ]

    def slices(self, domain: Domain, chosen: Sequence[int], size: int) -> PreparedSlices:
        """Squares of chosen cases."""
        cases, scans = [self.dataset.cases[i] for i in chosen], [self.dataset.scans[i] for i in chosen]
        return prepared_slices(cases, scans, domain.name, domain.preparation, size=size, folder=self.cache)

    def some(self, domain: Domain, split: str, most: int, config: TranslatorConfig) -> PreparedImages:
        """Prepared images of a split, spread evenly over it: neighbours are often slices of one head.

        Args:
            domain: one of ours.
            split: of the cases.
            most: images; 0 for all.
            config: of the run.
        """
        chosen = self.chosen(domain, split)
        return self.slices(domain, [chosen[index] for index in spread(len(chosen), most)], config.data.image_size)

    def slices_in(self, images: np.ndarray) -> np.ndarray:
        """Slices of images for figures, ``(n, height, width)``: themselves, or the middle ones of slabs."""
        return middle_of_slabs(images)

    def middle_of(self, images: np.ndarray) -> np.ndarray:
        """A slice of each image for people, ``(n, height, width)``."""
        return middle_of_slabs(images)

    def pair_slices(self, split: str, size: int) -> dict[str, PreparedSlices]:
        """Squares of the pairs beside, by ``a`` and ``b``, as the run prepares either domain."""
        assert self.pairs is not None
        chosen, dataset = self.pairs.chosen(split), self.pairs.dataset
        cases, scans = [dataset.cases[i] for i in chosen], [dataset.scans[i] for i in chosen]
        return {
            letter: prepared_slices(cases, scans, domain.name, domain.preparation, size=size, folder=self.cache)
            for letter, domain in (("a", self.a), ("b", self.b))
        }

    def pipeline(self, config: TranslatorConfig) -> Pipeline:
        """The training batches."""
        data = config.data
        load_size = int(round(data.image_size * data.jitter))
        unpaired = self._unpaired(config, load_size)
        if self.pairs is None:
            return unpaired
        return pair_pipeline(self.pair_slices("train", load_size), config, unpaired)

    def _unpaired(self, config: TranslatorConfig, load_size: int) -> DomainPipeline:
        data = config.data
        return DomainPipeline(
            slices={
                letter: self.slices(domain, self.chosen(domain, "train"), load_size)
                for letter, domain in (("a", self.a), ("b", self.b))
            },
            image_size=data.image_size,
            batch_size=config.optimisation.batch_size,
            channels=data.image_channels,
            flip=data.flip,
            epoch_length=data.epoch_length,
            seed=config.optimisation.seed,
            paired=self.paired,
        )

    def lines(self, config: TranslatorConfig) -> list[str]:
        """What is trained on, for the terminal."""
        split = "" if self.dataset.is_drawn else f", split {config.data.split}"
        counts = self.dataset.counts(self.splits, config.data.domain_names)
        beside = self.pairs.lines(config) if self.pairs else []
        lines = [f"data: {config.data.data}{split}", *split_lines(counts), *beside]
        return [*lines, "audit:", *audit_lines(self.findings)]


def spread(count: int, most: int) -> list[int]:
    """The numbers of up to ``most`` (0 for all) of ``count`` things, evenly spread."""
    return np.linspace(0, count - 1, min(most or count, count)).astype(int).tolist()


def translation_source(config: TranslatorConfig, *, data: str = "", paired: bool = False) -> Source:
    """The source that ``--data`` names.

    Args:
        config: of the run.
        data: another folder (or ``phantom``) than the config's.
        paired: the system learns from aligned pairs. Others may be given them too, and see them unpaired.

    Raises:
        UserError: no such folder, nothing in it, or unpaired data for a system that wants pairs.
    """
    options, names = config.data, config.data.domain_names
    data = data or options.data
    if data == DRAWN:
        return drawn_domains(
            seed=config.optimisation.seed,
            count=options.phantoms,
            size=options.image_size,
            pair=options.phantom_pair,
            domains=names,
            aligned=paired,
        )
    folder = Path(data)
    if not folder.is_dir():
        raise UserError(f"--data {data}: no such folder; give one with trainA/ and trainB/, or {DRAWN}")
    if is_two_domains(folder):
        if paired:
            raise UserError(
                f"--data {data}: trainA/ and trainB/ are unpaired, and --model {config.model} learns from aligned "
                "pairs; give strips or two folders with the same file names (docs/systems.md), or take --model cyclegan"
            )
    elif paired or holds_pairs(folder, names):
        return pair_source(folder, domains=names, order=options.pair_order)
    beside = getattr(config.system, "pairs", "")
    if options.pair_order != DEFAULT_ORDER and data == options.data and not beside:
        raise UserError(f"--set pair_order={options.pair_order}: does nothing here; {folder} holds no strips of pairs")
    return folder_source(folder, domains=names, windows=options.volume_windows, slicing=options.slicing)


def load_training_data(config: TranslatorConfig, *, paired: bool = False) -> TrainingData:
    """Loads what ``--data`` names: scanned, split and audited.

    Args:
        config: of the run.
        paired: see `translation_source`.

    Raises:
        UserError: data that cannot be trained on.
    """
    options, names = config.data, config.data.domain_names
    source = translation_source(config, paired=paired)
    _refuse_lone(source, config)
    dataset = open_dataset(source, bad_files=options.bad_files, cache=options.cache)
    splits, pairs = _splits(dataset, config), load_pairs_beside(config)
    findings: list[Finding] = []
    if start := config.optimisation.weights:
        way_out = "give data that it has not seen, or the --seed that it was split with"
        (kept,), findings = without_seen(Path(start), dataset, [splits], way_out=way_out)
        splits = kept.tolist()
    domains = []
    for name in names:
        training = [
            index
            for index, (case, side) in enumerate(zip(dataset.cases, splits))
            if side == "train" and name in case.files
        ]
        if len(training) < 2:
            raise UserError(
                f"{dataset.source.root}: {len(training)} usable image(s) of {name}; training wants at least 2"
            )
        preparation = dataset.preparation(
            name,
            training,
            framing=options.framing,
            window=_window(config, dataset, name, training),
            shows=options.shown.get(name),
        )
        domains.append(Domain(name, preparation))
        findings += dataset.contrast(name, preparation)
    findings += _distances(dataset, config)
    first, second = domains
    return TrainingData(
        a=first,
        b=second,
        dataset=dataset,
        splits=splits,
        findings=sorted_findings([*findings, *dataset.audited(splits), *(pairs.findings if pairs else ())]),
        paired=paired,
        cache=cache_folder(options.cache),
        pairs=pairs,
    )


def _refuse_lone(source: Source, config: TranslatorConfig) -> None:
    """Refuses pictures where slices with their neighbours are wanted, and what does nothing to pictures."""
    options = config.data
    if options.slice_mm and all(case.paths for case in source.cases):
        raise UserError(f"--set slice_mm={options.slice_mm:g}: does nothing here; {options.data} holds no volumes")
    lone = [case.name for case in source.cases if case.paths] if options.neighbours else []
    if lone:
        raise UserError(
            f"--set neighbours={options.neighbours}: {options.data} holds {len(lone)} pictures without neighbours "
            f"({listed(lone, most=3)}); give volumes, or leave it out"
        )


def _distances(dataset: Dataset, config: TranslatorConfig) -> list[Finding]:
    """A finding where neighbours lie further apart in one domain than in the other."""
    findings = []
    for plane in config.data.planes if config.data.neighbours else ():
        mine = [case for case in dataset.cases if case.plane == plane]
        steps = {name: [case.slab_mm for case in mine if name in case.files] for name in config.data.domain_names}
        if not all(steps.values()):
            continue
        apart = {name: float(np.median(found)) for name, found in steps.items()}
        (near, least), (far, most) = sorted(apart.items(), key=lambda item: item[1])
        if most > _SAME_DISTANCE * least:
            text = (
                f"neighbouring {plane} slices lie {least:.3g} mm apart in {near} and {most:.3g} mm in {far}; a "
                f"discriminator tells the domains by that alone. --set neighbour_mm={most:.3g} takes neighbours at "
                "that distance in both"
            )
            findings.append(Finding("warning", "neighbours", text, 1))
    return findings


def _window(
    config: TranslatorConfig, dataset: Dataset, name: str, training: Sequence[int]
) -> tuple[float, float] | None:
    """Black and white of a domain, where they are not those of its files or of each volume."""
    options, facts = config.data, dataset.facts(name, training[:1])
    if not facts or not facts[0].is_volume:
        return options.windows.get(name)
    return fixed_window(name, options.volume_windows.get(name))


def _splits(dataset: Dataset, config: TranslatorConfig) -> list[str]:
    options, seed = config.data, config.optimisation.seed
    if dataset.is_drawn:
        return list(dataset.given)
    if dataset.source.kind == "pairs":
        splits = assign_patients(dataset.groups, dataset.given, policy=options.split, seed=seed, share=_PATIENT_SHARE)
        if splits is None:
            count = len(np.unique(dataset.groups))
            raise UserError(
                f"{dataset.source.root}: pairs of {count} {dataset.group_word}; training, validation and test want one "
                "each at least (a test folder counts)"
            )
        return splits
    labels = [case.labels[0] for case in dataset.cases]
    return assign_splits(labels, dataset.given, dataset.groups, policy=options.split, seed=seed)
