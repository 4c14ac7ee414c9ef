"""Overlap of a predicted and a true mask."""

import numpy as np


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Dice 1945: ``2 |P and T| / (|P| + |T|)`` over all pixels of both arrays (bool, same shape).

    Where both are empty the answer is right and counts as 1; where only the truth is empty it is 0. Whoever averages
    over slices says whether slices without a lesion are among them: they can lift a mean by a tenth and more.
    """
    total = np.count_nonzero(predicted) + np.count_nonzero(truth)
    return 2.0 * np.count_nonzero(np.logical_and(predicted, truth)) / total if total else 1.0
