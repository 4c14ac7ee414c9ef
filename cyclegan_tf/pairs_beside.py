"""The few aligned pairs that a training may have beside its unpaired slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from common_tf.errors import UserError
from common_tf.sources.cache import PreparedSlices
from common_tf.sources.dataset import Dataset, open_dataset, split_lines
from common_tf.sources.pairs import pair_source
from common_tf.sources.pipeline import MASK, DomainPipeline
from common_tf.splits.assignment import assign_patients
from common_tf.splits.finding import Finding, sorted_findings
from common_tf.splits.manifest import ManifestRow
from common_tf.splits.seen import rows_behind
from cyclegan_tf.config import BY_PAIRS, TranslatorConfig

PAIR = "pair_"
"""A batch has ``pair_a``, ``pair_b`` and ``pair_mask`` beside the unpaired ones."""

_HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class PairsBeside:
    """Aligned pairs, whole patients of which are held out.

    Attributes:
        dataset: all usable pairs.
        splits: of each.
        findings: the audit.
    """

    dataset: Dataset
    splits: Sequence[str]
    findings: Sequence[Finding]

    def chosen(self, split: str) -> list[int]:
        """The pairs of a split."""
        return [index for index, side in enumerate(self.splits) if side == split]

    def rows(self) -> list[ManifestRow]:
        """Their manifest."""
        return self.dataset.rows(self.splits)

    def lines(self, config: TranslatorConfig) -> list[str]:
        """What they are, for the terminal."""
        counts = self.dataset.counts(self.splits, config.data.domain_names)
        return [f"pairs beside them: {config.system.pairs}", *split_lines(counts)]


class PipelineWithPairs:
    """Batches of unpaired slices, each with pairs beside; as exact as either (see `DomainPipeline`).

    Args:
        unpaired, pairs: of the same step.
    """

    def __init__(self, unpaired: DomainPipeline, pairs: DomainPipeline):
        self._unpaired, self._pairs = unpaired, pairs
        self.steps_per_epoch = unpaired.steps_per_epoch

    def batches(self, start_step: int) -> tf.data.Dataset:
        """Batches from a step on, without end."""

        def joined(batch: dict, pairs: dict) -> dict:
            mine = {"a": pairs["a"], "b": pairs["b"], "mask": pairs[f"{MASK}a"]}
            return {**batch, **{f"{PAIR}{name}": value for name, value in mine.items()}}

        both = self._unpaired.batches(start_step), self._pairs.batches(start_step)
        return tf.data.Dataset.zip(both).map(joined)


def load_pairs_beside(config: TranslatorConfig) -> PairsBeside | None:
    """Loads what ``--pairs`` names; ``None`` where it names nothing.

    Raises:
        UserError: pairs that cannot be learned from.
    """
    given = getattr(config.system, "pairs", "")
    if not given:
        return None
    folder, options = Path(given), config.data
    if not folder.is_dir():
        raise UserError(f"--pairs {given}: no such folder; give one with strips, or with a folder for each domain")
    source = pair_source(folder, domains=options.domain_names, order=options.pair_order)
    dataset = open_dataset(source, bad_files=options.bad_files, cache=options.cache)
    splits = assign_patients(
        dataset.groups, dataset.given, policy=options.split, seed=config.optimisation.seed, share=_HELD_OUT_SHARE
    )
    findings = []
    if config.validation.choose_by == BY_PAIRS and (splits is None or "validation" not in splits):
        raise UserError(
            f"--set choose_by={BY_PAIRS}: {folder.name} has too few {dataset.group_word} to hold any out that could "
            "choose; leave it out"
        )
    if splits is None:
        text = f"{folder.name}: pairs of too few {dataset.group_word} to hold any out; all are learned from"
        findings.append(Finding("warning", "pairs", text, len(dataset.cases)))
        splits = ["train"] * len(dataset.cases)
    findings += _learned_before(config, dataset, splits)
    return PairsBeside(dataset, splits, sorted_findings([*findings, *dataset.audited(splits)]))


def _learned_before(config: TranslatorConfig, dataset: Dataset, splits: Sequence[str]) -> list[Finding]:
    """A finding where the start weights were trained on pairs that are held out here for validation."""
    start = config.optimisation.weights
    learned = {row.sha256 for row in rows_behind(Path(start)) if row.split != "validation"} if start else set()
    held_out = [scans for scans, split in zip(dataset.scans, splits) if split == "validation"]
    known = sum(any(scan.sha256 in learned for scan in scans) for scans in held_out)
    if not known:
        return []
    text = f"{known} of {len(held_out)} validation pairs are in the training of the start weights {start}"
    way_out = "give the --seed that they were split with"
    if config.validation.choose_by == BY_PAIRS:
        raise UserError(f"--set choose_by={BY_PAIRS}: {text}, and would choose what is known by heart; {way_out}")
    return [Finding("warning", "pairs", f"{text}; their error reads too low. {way_out[0].upper()}{way_out[1:]}", known)]


def pair_pipeline(
    slices: dict[str, PreparedSlices], config: TranslatorConfig, unpaired: DomainPipeline
) -> PipelineWithPairs:
    """The batches of a training with pairs beside.

    Args:
        slices: pairs to learn from, by ``a`` and ``b``.
        config: of the run.
        unpaired: the batches without them.
    """
    data = config.data
    pairs = DomainPipeline(
        slices=slices,
        image_size=data.image_size,
        batch_size=config.optimisation.batch_size,
        channels=data.image_channels,
        flip=data.flip,
        epoch_length="longest",
        seed=config.optimisation.seed,
        paired=True,
    )
    return PipelineWithPairs(unpaired, pairs)
