"""How far probabilities can be believed."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 10


def brier_score(truth: np.ndarray, probabilities: np.ndarray, *, weights: np.ndarray | None = None) -> float:
    """Brier 1950: mean squared difference of probability and outcome.

    With two classes that of the positive class alone, in [0, 1]; with more the sum over the classes, in [0, 2].
    """
    outcome = np.eye(probabilities.shape[1])[np.asarray(truth, int)]
    squared = np.square(probabilities - outcome)
    return float(np.average(squared[:, 1] if squared.shape[1] == 2 else squared.sum(axis=1), weights=weights))


def expected_calibration_error(
    truth: np.ndarray, probabilities: np.ndarray, *, weights: np.ndarray | None = None
) -> float:
    """Naeini et al. 2015 with 10 bins of equal width: mean gap of stated and observed frequency.

    With two classes of the positive class' probability; with more of the predicted class' (Guo et al. 2017). On n
    images it is positive even for a perfectly calibrated model.
    """
    stated, outcome = stated_and_outcome(truth, probabilities)
    weights = np.ones(len(stated)) if weights is None else np.asarray(weights, np.float64)
    gaps = np.bincount(_bins(stated), weights=weights * (stated - outcome), minlength=BINS)
    return float(np.abs(gaps).sum() / weights.sum())


def reliability_bins(truth: np.ndarray, probabilities: np.ndarray) -> tuple:
    """For a reliability diagram: mean stated and observed frequency and count of each bin that is not empty."""
    stated, outcome = stated_and_outcome(truth, probabilities)
    bins = _bins(stated)
    counts = np.bincount(bins, minlength=BINS)
    used = counts > 0
    means = [np.bincount(bins, weights=values, minlength=BINS)[used] / counts[used] for values in (stated, outcome)]
    return means[0], means[1], counts[used]


def stated_and_outcome(truth: np.ndarray, probabilities: np.ndarray) -> tuple:
    """The probability that is judged and whether it came true; see `expected_calibration_error`."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (np.asarray(truth) == 1).astype(np.float64)
    predicted = probabilities.argmax(axis=1)
    return probabilities[np.arange(len(predicted)), predicted], (predicted == truth).astype(np.float64)


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Temperature scaling (Guo et al. 2017): the T that minimises the cross-entropy of ``softmax(logits / T)``.

    Args:
        logits: ``(n, classes)`` of validation images.
        truth: ``(n,)`` class numbers.

    Returns:
        T in [0.1, 10]; the bounds keep a perfectly separated validation set from claiming certainty.
    """
    rows = np.arange(len(truth))

    def cost(log_temperature: float) -> float:
        return -log_softmax(logits / np.exp(log_temperature), axis=1)[rows, truth].mean()

    return float(np.exp(minimize_scalar(cost, bounds=np.log([0.1, 10.0]), method="bounded").x))


def to_probabilities(logits: np.ndarray, *, temperature: float = 1.0) -> np.ndarray:
    """``(n, classes)`` probabilities of ``softmax(logits / temperature)``."""
    return softmax(np.asarray(logits, np.float64) / temperature, axis=1)


def _bins(stated: np.ndarray) -> np.ndarray:
    return np.minimum((stated * BINS).astype(int), BINS - 1)
