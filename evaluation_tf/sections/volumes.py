"""Is a synthetic CT right, in Hounsfield units? Translated volumes against aligned ones, patient by patient."""

from collections.abc import Mapping

import numpy as np

from common_tf.errors import UserError
from common_tf.measurement.measurement import measure
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.hounsfield import (
    TISSUES,
    mean_absolute_error,
    multi_scale_ssim,
    peak_signal_to_noise,
    slice_disagreement,
    tissue_bias,
    tissue_dice,
)
from common_tf.pictures.grid import save_grid
from common_tf.progress import progress
from common_tf.sources.volume_pairs import LoadedPair, VolumePair
from common_tf.volumes.planes import PLANES, slices_of
from common_tf.volumes.slices import middle_slices
from common_tf.volumes.volume import BadVolume, Volume
from common_tf.volumes.windows import head_range, is_ct
from cyclegan_tf.volume_translation import best_possible, translate_volume
from detector_tf.drawing import plt, save_figure
from evaluation_tf.context import Context
from evaluation_tf.parts import Card, Figure, Gap, Section
from evaluation_tf.translations import Translations

ORDER = 22

_COLUMNS = (
    Column("mae", "MAE, HU", "mean |error| over the head, unclipped (SynthRAD)", "lower", 1),
    Column("psnr", "PSNR, dB", "over the head, both clipped to -1024..3071 HU, peak 4095 (SynthRAD2025)", "higher", 2),
    Column("ms_ssim", "MS-SSIM", "3-D, 7^3 windows, five scales, mean in the head (SynthRAD2025)", "higher"),
    *(
        Column(f"bias_{name}", f"bias, {name}", f"mean error in HU where the real CT is {name}", "", 1)
        for name in TISSUES
    ),
    Column("between", "between slices, HU", "mean |difference of the steps from slice to slice|", "lower", 1),
    Column("dice_bone", "Dice, bone", "overlap of voxels of 250 HU and more", "higher"),
    Column("dice_air", "Dice, air", "overlap of voxels below -200 HU inside the head", "higher"),
)
_BINS = 64
_MEAN_BINS, _ERROR_BINS = 128, 96
_MEAN_SHOWN, _ERRORS_SHOWN = (-1024.0, 2000.0), (-1500.0, 1500.0)
_SHOWN, _ERROR_SHOWN = (-200.0, 400.0), 500.0


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
    if len(pairs) < 5:
        section.warnings.append(f"{len(pairs)} patients: intervals over so few say little of others")
    tables = [_table_counts(_loaded(pair, source, target)) for pair in pairs]
    values: dict[str, list[Mapping[str, float]]] = {}
    density = _Density()
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
            values.setdefault(key, []).append(_figures(one, voxels))
        section.warnings += [f"{pair.patient}: {note}" for note in one.notes]
    section.tables += [_summary(values, source, target), _by_patient(pairs, values["translator"])]
    order = np.argsort([one["mae"] for one in values["translator"]])
    for word, index in {"median": order[len(order) // 2], "worst": order[-1]}.items():
        section.figures.append(_planes(context, outputs, pairs[index], word, source, target))
    section.figures.append(_bland_altman(context, density, len(pairs)))
    section.card = _card(section.tables[0], len(pairs))
    return section


class _Density:
    """Of error against the mean of both, over voxels of all patients, without keeping them."""

    def __init__(self) -> None:
        self.counts = np.zeros((_MEAN_BINS, _ERROR_BINS))
        self.n, self.sum, self.squares = 0, 0.0, 0.0

    def add(self, truth: np.ndarray, made: np.ndarray) -> None:
        """Adds the voxels of a patient, in HU."""
        middle, error = (truth + made) / 2, (made - truth).astype(np.float64)
        self.counts += np.histogram2d(middle, error, (_MEAN_BINS, _ERROR_BINS), (_MEAN_SHOWN, _ERRORS_SHOWN))[0]
        self.n += error.size
        self.sum += float(error.sum())
        self.squares += float((error**2).sum())

    @property
    def bias(self) -> float:
        """Mean error."""
        return self.sum / self.n

    @property
    def deviation(self) -> float:
        """Standard deviation of the error."""
        return float(np.sqrt(max(0.0, self.squares / self.n - self.bias**2)))


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


def _figures(one: LoadedPair, voxels: np.ndarray) -> dict[str, float]:
    truth, mask = one.truth.voxels, one.mask
    dice = tissue_dice(truth, voxels, mask)
    return {
        "mae": mean_absolute_error(truth, voxels, mask),
        "psnr": psnr if np.isfinite(psnr := peak_signal_to_noise(truth, voxels, mask)) else float("nan"),
        "ms_ssim": multi_scale_ssim(truth, voxels, mask),
        **{f"bias_{name}": value for name, value in tissue_bias(truth, voxels, mask).items()},
        "between": slice_disagreement(truth, voxels, mask),
        "dice_bone": dice["bone"],
        "dice_air": dice["air"],
    }


_ROWS = {
    "translator": ("translator", "result"),
    "table": ("floor: intensity table of the other patients", "floor"),
    "mean": ("floor: mean HU of the other patients", "floor"),
    "window": ("what the run's window (and voxels, in 3-D) cut off", "reference"),
}


def _summary(values: Mapping[str, list[Mapping[str, float]]], source: str, target: str) -> Table:
    rows = []
    for key, (name, kind) in _ROWS.items():
        if key in values:
            cells = {
                column.key: measure(np.array([one[column.key] for one in values[key]]), of="patients")
                for column in _COLUMNS
            }
            rows.append(Row(name, cells, kind, key))
    return Table("volumes", f"{source} to {target}, in the head", _COLUMNS, rows)


def _by_patient(pairs: list[VolumePair], values: list[Mapping[str, float]]) -> Table:
    rows = [
        Row(pair.patient, {column.key: measure(np.array([one[column.key]])) for column in _COLUMNS})
        for pair, one in zip(pairs, values)
    ]
    return Table("volumes_patients", "patient by patient", _COLUMNS, rows)


def _planes(context: Context, outputs: Translations, pair: VolumePair, word: str, source: str, target: str) -> Figure:
    """Three planes of a patient: input, truth, output and error."""
    context.figures.mkdir(parents=True, exist_ok=True)
    one, file = _loaded(pair, source, target), f"volume_{word}.png"
    made = _translated(outputs, one, source, target, pair)
    error = np.where(one.mask, np.abs(made.voxels - one.truth.voxels), 0)
    rows = {
        source: (one.source, head_range(slices_of(one.source))),
        target: (one.truth, _SHOWN),
        "synthetic": (made, _SHOWN),
        "|error|": (one.truth.with_voxels(error, unit="", modality=""), (0.0, _ERROR_SHOWN)),
    }
    columns = list(zip(*(middle_slices(volume, shown) for volume, shown in rows.values())))
    footer = f"rows: {', '.join(rows)}; synthetic, not for diagnosis"
    save_grid(context.figures / file, columns, titles=list(PLANES), footer=footer)
    caption = (
        f"The {word} patient by MAE ({pair.patient}): {source}, real {target}, synthetic {target} "
        f"({_SHOWN[0]:g} to {_SHOWN[1]:g} HU) and the error in the head (white is {_ERROR_SHOWN:g} HU or more)."
    )
    return Figure(file, caption, caption)


def _bland_altman(context: Context, density: _Density, patients: int) -> Figure:
    """Error against the mean of both (Bland and Altman 1986)."""
    low, high = (density.bias + sign * 1.96 * density.deviation for sign in (-1, 1))
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    counts = np.log10(np.where(density.counts > 0, density.counts, np.nan)).T
    axes.imshow(counts, origin="lower", extent=(*_MEAN_SHOWN, *_ERRORS_SHOWN), aspect="auto", cmap="Greys")
    for level, style in ((density.bias, "-"), (low, ":"), (high, ":")):
        axes.axhline(level, ls=style, color="tab:red")
    axes.set_xlabel("mean of real and synthetic, HU")
    axes.set_ylabel("synthetic - real, HU")
    axes.set_title(f"bias {density.bias:.0f} HU, limits of agreement {low:.0f} to {high:.0f} HU")
    save_figure(figure, context.figures / "bland_altman.png")
    caption = f"Bland-Altman, {density.n:,} voxels of {patients} patients (log density), not independent in a head."
    return Figure("bland_altman.png", caption, caption)


def _card(table: Table, count: int) -> Card:
    result = next(row for row in table.rows if row.key == "translator")
    floors = [row for row in table.rows if row.kind == "floor"]
    good = bool(floors) and all(result.value("mae") < row.value("mae") for row in floors)
    beside = ", ".join(f"{row.name.removeprefix('floor: ')} {row.value('mae'):.0f}" for row in floors)
    verdict, words = ("good", "above all floors") if good else ("bad", "below a floor, see the table")
    if not floors:
        verdict, words = "open", "nothing to compare with"
    return Card(
        title="Is the synthetic CT right? MAE in the head",
        value=f"{result.value('mae'):.0f} HU",
        detail=f"n = {count} patients; {beside or 'one patient has no floors'}; lower is better",
        verdict=verdict,
        words=words,
    )
