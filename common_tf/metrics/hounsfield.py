"""How far a synthetic CT is from the real one, in Hounsfield units, as the SynthRAD challenges define it.

All functions take ``(i, j, k)`` volumes in HU on one grid and a mask of the head. The definitions are those of the
challenge's published evaluation (Thummerer et al. 2023; SynthRAD2025), which clips to its 12 bits.
"""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

LOWEST, HIGHEST = -1024.0, 3071.0
"""HU that PSNR and MS-SSIM clip to. SynthRAD2023 used 3000 in place of 3071."""

TISSUES: Mapping[str, tuple[float, float]] = {
    "air": (-np.inf, -200.0),
    "soft": (-200.0, 250.0),
    "bone": (250.0, np.inf),
}
"""HU of the real CT by which tissues are told apart."""

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, from fine to coarse
_WINDOW, _SMALLEST = 7, 97
_K1, _K2 = 0.01, 0.03


def mean_absolute_error(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> float:
    """Mean of ``|made - truth|`` over the mask, in HU, unclipped.

    Args:
        truth, made: in HU.
        mask: bool, the head.

    Raises:
        ValueError: shapes that differ, or an empty mask.
    """
    truth, made, mask = _checked(truth, made, mask)
    return float(np.abs(made[mask] - truth[mask]).mean())


def peak_signal_to_noise(truth: np.ndarray, made: np.ndarray, mask: np.ndarray, *, highest: float = HIGHEST) -> float:
    """PSNR in dB over the mask: both clipped to `LOWEST` and ``highest``, whose distance is the peak.

    Infinite where both are equal.
    """
    truth, made, mask = _checked(truth, made, mask)
    difference = np.clip(made[mask], LOWEST, highest) - np.clip(truth[mask], LOWEST, highest)
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else float(10 * np.log10((highest - LOWEST) ** 2 / error))


def multi_scale_ssim(truth: np.ndarray, made: np.ndarray, mask: np.ndarray, *, highest: float = HIGHEST) -> float:
    """Three-dimensional MS-SSIM in the mask, as SynthRAD2025 computes it.

    Both are clipped and set to `LOWEST` outside the mask, and padded with their edges to 97 voxels a side. At each of
    five scales luminance, contrast and structure of 7x7x7 windows (sample covariance, negative ones clipped to 0) are
    each raised to the scale's weight, multiplied, and averaged over the mask but for three voxels at the volume's
    edge; the scales' means are multiplied. Luminance enters at every scale, unlike in Wang et al. 2003. Between scales
    the mean of each voxel and its neighbours before it is taken (0 before the first), at every second voxel.

    Args:
        truth, made: in HU.
        mask: bool, the head.
        highest: HU to clip to.

    Returns:
        0 to 1; nan where the mask is gone at the coarsest scale.
    """
    truth, made, mask = _checked(truth, made, mask)
    first, second = (np.clip(np.where(mask, one, LOWEST), LOWEST, highest) - LOWEST for one in (truth, made))
    padding = [(max(0, (_SMALLEST - side) // 2), max(0, -(-(_SMALLEST - side) // 2))) for side in truth.shape]
    first, second, mask = (np.pad(one, padding, mode="edge") for one in (first, second, mask))
    edge = (slice(_WINDOW // 2, -(_WINDOW // 2)),) * 3
    result = 1.0
    for weight in _WEIGHTS:
        inside = mask[edge]
        if not inside.any():
            return float("nan")
        similar = _similarity(first, second, weight, highest - LOWEST)[edge][inside].mean()
        result *= float(np.clip(similar, 0, 1))
        first, second, mask = _halved(first), _halved(second), mask[::2, ::2, ::2]
    return result


def tissue_bias(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Mean of ``made - truth`` in HU for each of `TISSUES` inside the mask; nan where the real CT has none of it."""
    truth, made, mask = _checked(truth, made, mask)
    inside, difference = truth[mask], (made - truth)[mask]
    chosen = {name: (inside >= low) & (inside < high) for name, (low, high) in TISSUES.items()}
    return {name: float(difference[one].mean()) if one.any() else float("nan") for name, one in chosen.items()}


def tissue_dice(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Dice overlap of air and of bone inside the mask, both told by `TISSUES`; nan where neither CT has any."""
    truth, made, mask = _checked(truth, made, mask)
    results = {}
    for name in ("air", "bone"):
        low, high = TISSUES[name]
        real, synthetic = ((one[mask] >= low) & (one[mask] < high) for one in (truth, made))
        total = int(real.sum() + synthetic.sum())
        results[name] = 2 * int((real & synthetic).sum()) / total if total else float("nan")
    return results


def slice_disagreement(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> float:
    """How differently neighbouring slices follow each other: mean absolute difference of the steps along k, in HU.

    A translator that sees one slice at a time may shift every slice by itself; the error of a voxel does not show that,
    the step from slice to slice does. 0 where both change alike, also if every voxel is off by a constant.

    Args:
        truth, made: in HU.
        mask: bool; steps count between voxels that are both inside.

    Returns:
        nan where no two neighbours are inside.
    """
    truth, made, mask = _checked(truth, made, mask)
    inside = mask[..., 1:] & mask[..., :-1]
    return float(np.abs(np.diff(made - truth, axis=2))[inside].mean()) if inside.any() else float("nan")


def _checked(truth: np.ndarray, made: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if not truth.shape == made.shape == mask.shape or truth.ndim != 3:
        raise ValueError(f"volumes of {truth.shape}, {made.shape} and a mask of {mask.shape}; one grid is wanted")
    mask = np.asarray(mask, bool)
    if not mask.any():
        raise ValueError("the mask is empty")
    return np.asarray(truth, np.float64), np.asarray(made, np.float64), mask


def _similarity(first: np.ndarray, second: np.ndarray, weight: float, span: float) -> np.ndarray:
    """Luminance, contrast and structure of every window, each to the power of the scale's weight."""

    def mean(values: np.ndarray) -> np.ndarray:
        return ndimage.uniform_filter(values, _WINDOW)

    sample = _WINDOW**3 / (_WINDOW**3 - 1)
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    mean_1, mean_2 = mean(first), mean(second)
    variance_1 = sample * (mean(first * first) - mean_1**2)
    variance_2 = sample * (mean(second * second) - mean_2**2)
    covariance = sample * (mean(first * second) - mean_1 * mean_2)
    deviations = np.sqrt(np.maximum(variance_1, 0)) * np.sqrt(np.maximum(variance_2, 0))
    luminance = (2 * mean_1 * mean_2 + c1) / (mean_1**2 + mean_2**2 + c1)
    contrast = (2 * deviations + c2) / (variance_1 + variance_2 + c2)
    structure = (covariance + c2 / 2) / (deviations + c2 / 2)
    powers = (np.maximum(one, 0) ** weight for one in (luminance, contrast, structure))
    return np.prod(np.stack(list(powers)), axis=0)


def _halved(values: np.ndarray) -> np.ndarray:
    for axis in range(3):
        before = np.roll(values, 1, axis)
        before[(slice(None),) * axis + (0,)] = 0
        values = (values + before) / 2
    return values[::2, ::2, ::2]
