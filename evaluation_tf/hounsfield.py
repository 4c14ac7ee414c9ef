"""How near CT volumes are to the real ones, in Hounsfield units: columns, tables and figures of a report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

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
from common_tf.volumes.planes import PLANES
from common_tf.volumes.slices import middle_slices
from common_tf.volumes.volume import Volume
from detector_tf.drawing import plt, save_figure
from evaluation_tf.parts import Card, Figure

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
_MEAN_BINS, _ERROR_BINS = 128, 96
_MEAN_SHOWN, _ERRORS_SHOWN = (-1024.0, 2000.0), (-1500.0, 1500.0)
_SHOWN, _ERROR_SHOWN = (-200.0, 400.0), 500.0


def hounsfield_values(truth: np.ndarray, voxels: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """The figures of one patient by the keys of the columns; NaN where one is not defined.

    Args:
        truth, voxels: ``(i, j, k)`` HU.
        mask: bool, the head.
    """
    dice = tissue_dice(truth, voxels, mask)
    psnr = peak_signal_to_noise(truth, voxels, mask)
    return {
        "mae": mean_absolute_error(truth, voxels, mask),
        "psnr": psnr if np.isfinite(psnr) else float("nan"),
        "ms_ssim": multi_scale_ssim(truth, voxels, mask),
        **{f"bias_{name}": value for name, value in tissue_bias(truth, voxels, mask).items()},
        "between": slice_disagreement(truth, voxels, mask),
        "dice_bone": dice["bone"],
        "dice_air": dice["air"],
    }


def hounsfield_table(
    title: str,
    rows: Mapping[str, tuple[str, str]],
    values: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    patients: np.ndarray | None = None,
) -> Table:
    """Means over patients.

    Args:
        title: of the table.
        rows: name and kind by key.
        values: by key, of each volume; keys without any get no row.
        patients: ``(n,)`` whose each volume is; ``None`` where each is of another.
    """
    found = []
    for key, (name, kind) in rows.items():
        if key in values:
            cells = {
                column.key: measure(np.array([one[column.key] for one in values[key]]), patients, of="patients")
                for column in _COLUMNS
            }
            found.append(Row(name, cells, kind, key))
    return Table("volumes", title, _COLUMNS, found)


def patient_table(patients: Sequence[str], values: Sequence[Mapping[str, float]]) -> Table:
    """The same figures patient by patient."""
    rows = [
        Row(patient, {column.key: measure(np.array([one[column.key]])) for column in _COLUMNS})
        for patient, one in zip(patients, values)
    ]
    return Table("volumes_patients", "patient by patient", _COLUMNS, rows)


def planes_figure(
    file: Path,
    caption: str,
    *,
    beside: Mapping[str, tuple[Volume, tuple[float, float]]],
    truth: Volume,
    made: Volume,
    mask: np.ndarray,
) -> Figure:
    """Three planes of a patient: the truth, what was made, and the error in the head.

    Args:
        file: where to.
        caption: what it shows; where black and white lie is added.
        beside: further rows above, with the values that are black and white.
        truth, made: on one grid, in HU.
        mask: the head.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    error = np.where(mask, np.abs(made.voxels - truth.voxels), 0)
    rows = {
        **beside,
        "real": (truth, _SHOWN),
        "synthetic": (made, _SHOWN),
        "|error|": (truth.with_voxels(error, unit="", modality=""), (0.0, _ERROR_SHOWN)),
    }
    columns = list(zip(*(middle_slices(volume, shown) for volume, shown in rows.values())))
    save_grid(file, columns, titles=list(PLANES), footer=f"rows: {', '.join(rows)}; synthetic, not for diagnosis")
    caption = (
        f"{caption}: {', '.join(rows)}; CT from {_SHOWN[0]:g} to {_SHOWN[1]:g} HU, the error in the head, "
        f"{_ERROR_SHOWN:g} HU or more in white."
    )
    return Figure(file.name, caption, caption)


def hounsfield_card(table: Table, count: int, *, title: str) -> Card:
    """Good where the result is nearer than every floor; open where there is none.

    Args:
        table: of `hounsfield_table`.
        count: patients.
        title: the question.
    """
    result = next(row for row in table.rows if row.kind == "result")
    floors = [row for row in table.rows if row.kind == "floor"]
    good = bool(floors) and all(result.value("mae") < row.value("mae") for row in floors)
    beside = ", ".join(f"{row.name.removeprefix('floor: ')} {row.value('mae'):.0f}" for row in floors)
    verdict, words = ("good", "above all floors") if good else ("bad", "below a floor, see the table")
    if not floors:
        verdict, words = "open", "nothing to compare with"
    return Card(
        title=title,
        value=f"{result.value('mae'):.0f} HU",
        detail=f"n = {count} patients; {beside or 'one patient has no floors'}; lower is better",
        verdict=verdict,
        words=words,
    )


class ErrorDensity:
    """Of error against the mean of both, over voxels of all patients, without keeping them."""

    def __init__(self) -> None:
        self._counts = np.zeros((_MEAN_BINS, _ERROR_BINS))
        self._n, self._sum, self._squares = 0, 0.0, 0.0

    def add(self, truth: np.ndarray, made: np.ndarray) -> None:
        """Adds the voxels of a patient, in HU."""
        middle, error = (truth + made) / 2, (made - truth).astype(np.float64)
        self._counts += np.histogram2d(middle, error, (_MEAN_BINS, _ERROR_BINS), (_MEAN_SHOWN, _ERRORS_SHOWN))[0]
        self._n += error.size
        self._sum += float(error.sum())
        self._squares += float((error**2).sum())

    def figure(self, file: Path, patients: int) -> Figure:
        """Bland and Altman's picture (1986) of so many patients."""
        bias = self._sum / self._n
        deviation = float(np.sqrt(max(0.0, self._squares / self._n - bias**2)))
        low, high = (bias + sign * 1.96 * deviation for sign in (-1, 1))
        figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
        counts = np.log10(np.where(self._counts > 0, self._counts, np.nan)).T
        axes.imshow(counts, origin="lower", extent=(*_MEAN_SHOWN, *_ERRORS_SHOWN), aspect="auto", cmap="Greys")
        for level, style in ((bias, "-"), (low, ":"), (high, ":")):
            axes.axhline(level, ls=style, color="tab:red")
        axes.set_xlabel("mean of real and synthetic, HU")
        axes.set_ylabel("synthetic - real, HU")
        axes.set_title(f"bias {bias:.0f} HU, limits of agreement {low:.0f} to {high:.0f} HU")
        save_figure(figure, file)
        caption = f"Bland-Altman, {self._n:,} voxels of {patients} patients (log density), not independent in a head."
        return Figure(file.name, caption, caption)
