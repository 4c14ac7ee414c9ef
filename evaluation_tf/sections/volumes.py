"""Is a synthetic CT right, in Hounsfield units? Translated volumes against aligned ones, patient by patient."""

from collections.abc import Mapping

import numpy as np

from common_tf.errors import UserError
from common_tf.progress import progress
from common_tf.sources.volume_pairs import LoadedPair, VolumePair
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import BadVolume, Volume
from common_tf.volumes.windows import head_range, is_ct
from cyclegan_tf.volume_translation import best_possible, translate_volume
from evaluation_tf.context import Context
from evaluation_tf.hounsfield import (
    ErrorDensity,
    hounsfield_card,
    hounsfield_table,
    hounsfield_values,
    patient_table,
    planes_figure,
)
from evaluation_tf.parts import Figure, Gap, Section
from evaluation_tf.translations import Translations

ORDER = 22
_BINS = 64


def build(context: Context) -> Section | None:
    """Errors of synthetic CT in HU, beside their floors."""
    outputs, pairs = context.translation, context.volume_pairs
    if outputs is None or not pairs:
        return None
    directions = [(source, outputs.target(source)) for source in outputs.sources]
    for source, target in directions:
        if not is_ct(target):
            context.gaps.append(Gap(f"{source} to {target} in physical values", f"{target} has no unit"))
    found = [one for one in directions if is_ct(one[1])]
    if not found:
        return None
    (source, target), *_ = found
    section = Section(
        key="volumes",
        title="Is the synthetic CT right, in Hounsfield units?",
        intro=f"{source} volumes translated to {target} against the aligned {target} of {len(pairs)} patients, inside "
        "the head, as the SynthRAD challenges measure it. Floors: a table from MRI values to HU and the mean HU, both "
        "of the other patients, and what the run's window alone cuts off the real CT. Copying has no meaning here: an "
        "MRI has no HU.",
    )
    tables = [_table_counts(_loaded(pair, source, target)) for pair in pairs]
    values: dict[str, list[Mapping[str, float]]] = {}
    density = ErrorDensity()
    # One patient at a time is in memory.
    for number, pair in enumerate(progress(pairs, total=len(pairs), words="translating volumes")):
        one = _loaded(pair, source, target)
        made = _translated(outputs, one, source, target, pair)
        density.add(one.truth.voxels[one.mask], made.voxels[one.mask])
        predictions = {"translator": made.voxels, "window": best_possible(outputs.translator, one.truth, domain=target)}
        if len(pairs) > 1:
            others = [counts for index, counts in enumerate(tables) if index != number]
            predictions["table"], predictions["mean"] = _from_others(one, others)
        for key, voxels in predictions.items():
            values.setdefault(key, []).append(hounsfield_values(one.truth.voxels, voxels, one.mask))
        section.warnings += [f"{pair.patient}: {note}" for note in one.notes]
    section.tables += [
        hounsfield_table(f"{source} to {target}, in the head", _ROWS, values),
        patient_table([pair.patient for pair in pairs], values["translator"]),
    ]
    order = np.argsort([one["mae"] for one in values["translator"]])
    for word, index in {"median": order[len(order) // 2], "worst": order[-1]}.items():
        section.figures.append(_planes(context, outputs, pairs[index], word, source, target))
    section.figures.append(density.figure(context.figures / "bland_altman.png", len(pairs)))
    section.card = hounsfield_card(section.tables[0], len(pairs), title="Is the synthetic CT right? MAE in the head")
    return section


def _loaded(pair: VolumePair, source: str, target: str) -> LoadedPair:
    try:
        return pair.load(source, target)
    except BadVolume as error:
        raise UserError(f"--pairs: {error}; mend or remove it") from error


def _translated(outputs: Translations, one: LoadedPair, source: str, target: str, pair: VolumePair) -> Volume:
    network = outputs.translator.network(source)
    assert network is not None
    try:
        return translate_volume(outputs.translator, one.source, source=source, target=target, network=network)[0]
    except BadVolume as error:
        raise UserError(f"--pairs: {pair.patient}: {error}") from error


def _table_counts(one: LoadedPair) -> tuple[np.ndarray, np.ndarray]:
    """Sum of HU and number of voxels by the source's gray value, scaled by its own head."""
    bins = _bins(one)[one.mask]
    sums = np.bincount(bins, one.truth.voxels[one.mask].astype(np.float64), _BINS)
    return sums, np.bincount(bins, minlength=_BINS).astype(np.float64)


def _bins(one: LoadedPair) -> np.ndarray:
    low, high = head_range(slices_of(one.source))
    return np.clip((one.source.voxels - low) / (high - low) * _BINS, 0, _BINS - 1).astype(int)


def _from_others(one: LoadedPair, others: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The table's and the mean's prediction, from all other patients."""
    sums, counts = (np.sum(part, axis=0) for part in zip(*others))
    mean = sums.sum() / counts.sum()
    table = np.where(counts > 0, sums / np.maximum(counts, 1), mean)
    return table[_bins(one)], np.full(one.truth.shape, mean)


_ROWS = {
    "translator": ("translator", "result"),
    "table": ("floor: intensity table of the other patients", "floor"),
    "mean": ("floor: mean HU of the other patients", "floor"),
    "window": ("what the run's window (and voxels, in 3-D) cut off", "reference"),
}


def _planes(context: Context, outputs: Translations, pair: VolumePair, word: str, source: str, target: str) -> Figure:
    one = _loaded(pair, source, target)
    return planes_figure(
        context.figures / f"volume_{word}.png",
        f"The {word} patient by MAE ({pair.patient}), {source} to {target}",
        beside={source: (one.source, head_range(slices_of(one.source)))},
        truth=one.truth,
        made=_translated(outputs, one, source, target, pair),
        mask=one.mask,
    )
